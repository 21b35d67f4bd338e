import type { Turn } from "../chat/answer.ts";
import type { ConversationHead } from "./conversationStore.ts";

const titleLength = 60;

/** 72 random bits, as letters that an address may have. */
export function newId(): string {
	return Array.from(crypto.getRandomValues(new Uint8Array(9)), (byte) =>
		byte.toString(16).padStart(2, "0"),
	).join("");
}

/** What a conversation is called until its owner calls it something. */
export function titleOf(prompt: string): string {
	const line = prompt.trim().split("\n", 1)[0]!;
	if (line.length <= titleLength) return line;
	const end = line.lastIndexOf(" ", titleLength);
	return `${line.slice(0, end > 0 ? end : titleLength)}…`;
}

/**
 * Questions and answers as a tree: what is asked otherwise, or answered again, stands beside what was there, as another version of
 * it. What is shown is one way through.
 */
export class Conversation {
	readonly id: string;
	title: string;
	#leaf: string | undefined;
	readonly #turns = new Map<string, Turn>();

	constructor(
		head: Pick<ConversationHead, "id" | "title" | "leaf"> | undefined,
		turns: readonly Turn[] = [],
	) {
		this.id = head?.id ?? newId();
		this.title = head?.title ?? "";
		for (const turn of turns) this.#turns.set(turn.id, turn);
		this.#leaf = head !== undefined && this.#turns.has(head.leaf) ? head.leaf : turns.at(-1)?.id;
	}

	/** What is shown: the turns from the first to the one that was chosen last. */
	get path(): readonly Turn[] {
		const path: Turn[] = [];
		for (
			let turn = this.#at(this.#leaf);
			turn && path.length <= this.#turns.size;
			turn = this.#at(turn.parent)
		)
			path.unshift(turn);
		return path;
	}

	#at(id: string | undefined): Turn | undefined {
		return id === undefined ? undefined : this.#turns.get(id);
	}

	/** Those that stand in the same place, itself among them, in the order in which they were asked. */
	versions({ parent }: Turn): readonly Turn[] {
		return this.#children(parent);
	}

	#children(parent: string | undefined): readonly Turn[] {
		return [...this.#turns.values()]
			.filter((turn) => turn.parent === parent)
			.sort((a, b) => a.createdAt - b.createdAt);
	}

	/** Adds a turn, or what became of it, and shows it. */
	add(turn: Turn): void {
		this.#turns.set(turn.id, turn);
		this.#leaf = turn.id;
	}

	/** Shows another version, and what was last said after it. */
	show(turn: Turn): Turn {
		let leaf = turn;
		for (let next: Turn | undefined = turn; next; next = this.#children(next.id).at(-1)) leaf = next;
		this.#leaf = leaf.id;
		return leaf;
	}

	/** Takes over what is kept, such as what another tab wrote. @param own - turns that this page wrote: it knows more of them */
	merge(title: string, turns: readonly Turn[], own: ReadonlySet<string>): void {
		this.title = title;
		for (const turn of turns) if (!own.has(turn.id)) this.#turns.set(turn.id, turn);
	}
}
