import type {
	ChatMessage,
	GenerateOptions,
	Generation,
	GenerationSummary,
	StageView,
	Tabmesh,
} from "@tabmesh/client";

import { newId } from "../conversations/conversation.ts";
import type { KeptTurn } from "../conversations/conversationStore.ts";
import { type AskSettings, optionsOf } from "../conversations/settings.ts";
import { describeError, type Trouble } from "../describe.ts";

/** Seconds are counted down while peers are waited for. */
const tickMs = 1_000;

/** One question and what came back. */
export interface Turn {
	readonly id: string;
	/** The turn before it; undefined for the first. */
	readonly parent: string | undefined;
	/** Milliseconds since 1970. */
	readonly createdAt: number;
	/** The name of who was asked. */
	readonly model: string;
	readonly prompt: string;
	readonly chats: boolean;
	/** Whether the peers get no text of it. */
	readonly private: boolean;
	text: string;
	tokens: number;
	status: "running" | "done" | "stopped" | "failed";
	stages: readonly StageView[];
	/** The peers are busy or change their layers; `until`, by `performance.now()`, one expects to have room. */
	waiting: { readonly busy: boolean; readonly until: number | undefined } | undefined;
	/** Peers that were lost on the way, and replaced. */
	lost: number;
	/** Whether the rest may differ from what would have been written without that. */
	numericsChanged: boolean;
	/** Tokens that were there when the page was reloaded; undefined where it was not. */
	readonly before: number | undefined;
	/** `performance.now()` of the first token, of those that are new to this page. */
	firstTokenAt: number | undefined;
	/** Milliseconds from the question to the first token, as this page saw it. */
	firstTokenMs: number | undefined;
	lastTokenAt: number;
	summary: GenerationSummary | undefined;
	error: unknown;
	/** Whether another tab is writing it. */
	readonly elsewhere: boolean;
}

/** Tokens per second after the first token, from the summary where there is one. */
export function rateOf(turn: Turn): number {
	if (turn.summary) return turn.summary.timing.tokensPerSecond;
	const tokens = turn.tokens - (turn.before ?? 0);
	if (turn.firstTokenAt === undefined || tokens < 2) return 0;
	return ((tokens - 1) * 1000) / (turn.lastTokenAt - turn.firstTokenAt);
}

/** The earlier turns as a conversation; what failed before its first token was never said. */
export function historyOf(turns: readonly Turn[]): ChatMessage[] {
	return turns
		.filter((turn) => turn.text !== "")
		.flatMap((turn) => [
			{ role: "user" as const, content: turn.prompt },
			{ role: "assistant" as const, content: turn.text },
		]);
}

function newTurn(given: Pick<Turn, "prompt" | "chats"> & Partial<Turn>): Turn {
	return {
		id: newId(),
		parent: undefined,
		createdAt: Date.now(),
		model: "",
		private: false,
		text: "",
		tokens: 0,
		status: "running",
		stages: [],
		waiting: undefined,
		lost: 0,
		numericsChanged: false,
		before: undefined,
		firstTokenAt: undefined,
		firstTokenMs: undefined,
		lastTokenAt: 0,
		summary: undefined,
		error: undefined,
		elsewhere: false,
		...given,
	};
}

/** A conversation whose last answer was left in the middle. */
export interface LeftConversation {
	/** Its id, where it is kept. */
	readonly id: string | undefined;
	readonly turns: readonly Turn[];
	/** What `Tabmesh.resume` takes; undefined where nothing had come yet. */
	readonly answer: string | undefined;
}

/** A conversation as text, for the page's own storage. */
export function writeConversation({ id, turns, answer }: LeftConversation): string {
	const kept = turns.map(
		({ id, parent, createdAt, model, prompt, chats, text, tokens, private: isPrivate }) => {
			return { id, parent, createdAt, model, prompt, chats, text, tokens, private: isPrivate };
		},
	);
	return JSON.stringify({ id, turns: kept, answer });
}

/** A turn as it is kept on this device: what happened, without what only matters while it happens. */
export function keptTurn(turn: Turn, conversation: string): KeptTurn {
	const { id, parent, createdAt, model, prompt, chats, text, tokens, status, stages, lost, numericsChanged } =
		turn;
	const plain = {
		id,
		parent,
		createdAt,
		model,
		prompt,
		chats,
		text,
		tokens,
		status,
		stages,
		lost,
		numericsChanged,
	};
	const { private: isPrivate, summary } = turn;
	// Its text stands in the turn, and nobody asks for the ids of its tokens any more.
	const short = summary && { ...summary, text: "", tokens: [], promptTokens: [] };
	const error = turn.error === undefined ? undefined : describeError(turn.error);
	return { ...plain, conversation, private: isPrivate, summary: short, error };
}

const statuses = new Set(["running", "done", "stopped", "failed"]);

/** The turn that was kept; undefined where it is none. */
export function readTurn(kept: KeptTurn): Turn | undefined {
	const { id, parent, createdAt, model, prompt, chats, text, tokens, status, stages, lost, summary } =
		kept as KeptTurn & Partial<Turn>;
	if (typeof prompt !== "string" || typeof text !== "string" || !statuses.has(status)) return undefined;
	const error = kept.error as Trouble | undefined;
	return newTurn({
		id,
		parent,
		createdAt,
		model: String(model ?? ""),
		prompt,
		chats: chats === true,
		private: kept.private === true,
		text,
		tokens: Number(tokens) || 0,
		status: status as Turn["status"],
		stages: Array.isArray(stages) ? stages : [],
		lost: Number(lost) || 0,
		numericsChanged: kept.numericsChanged === true,
		summary,
		error: error && { shortMessage: error.what, metaMessages: error.steps, code: error.code },
		elsewhere: status === "running",
	});
}

/** The conversation that `text` is, its last answer running; undefined where it is none. */
export function readConversation(text: string): LeftConversation | undefined {
	try {
		const { id, turns, answer } = JSON.parse(text) as { id: unknown; turns: unknown[]; answer: unknown };
		let parent: string | undefined;
		const read = turns.map((turn, place) => {
			const { prompt, chats, text, tokens, private: isPrivate } = turn as Record<keyof Turn, unknown>;
			if (typeof prompt !== "string" || typeof text !== "string") throw new TypeError();
			if (typeof chats !== "boolean" || typeof tokens !== "number") throw new TypeError();
			const isLeft = place === turns.length - 1;
			const status = isLeft ? "running" : "done";
			const given = { prompt, chats, text, tokens, status, private: isPrivate === true } as const;
			const { id, createdAt, model } = turn as Partial<Turn>;
			const made = newTurn({
				...given,
				parent,
				...(typeof id === "string" ? { id } : {}),
				...(typeof createdAt === "number" ? { createdAt } : {}),
				...(typeof model === "string" ? { model } : {}),
				...(isLeft ? { before: tokens } : {}),
			});
			parent = made.id;
			return made;
		});
		if (read.length === 0) return undefined;
		const conversation = typeof id === "string" ? id : undefined;
		return { id: conversation, turns: read, answer: typeof answer === "string" ? answer : undefined };
	} catch {
		return undefined;
	}
}

/** Whom to ask, and how. */
export interface Asked {
	readonly id: string;
	readonly name: string;
	readonly chats: boolean;
	readonly private: boolean;
	readonly settings: AskSettings;
}

/** A running answer: fills its turn and tells whenever something changed, at most as often as pieces arrive. */
export class Answer {
	readonly turn: Turn;
	/** Resolves when the turn is no longer running; never rejects. */
	readonly finished: Promise<void>;
	#generation: Generation | undefined;
	#stopped = false;
	#ticking: ReturnType<typeof setInterval> | undefined;

	/** @param begin - starts the generation; what it throws ends the turn */
	private constructor(
		turn: Turn,
		begin: (events: Pick<GenerateOptions, "onStages" | "onReplay" | "onWait">) => Generation,
		onChange: () => void,
	) {
		this.turn = turn;
		const generation = () =>
			begin({
				onStages: (stages) => {
					turn.stages = stages;
					// Whom it calls may be busy still.
					if (stages.every(({ state }) => state === "preparing" || state === "ready")) this.#wait(undefined);
					onChange();
				},
				onWait: ({ busy, retryAfterMs }) => {
					const until = retryAfterMs === undefined ? undefined : performance.now() + retryAfterMs;
					this.#wait({ busy, until }, onChange);
				},
				onReplay: ({ lost, numericsChanged }) => {
					turn.lost += lost.length;
					turn.numericsChanged ||= numericsChanged;
					onChange();
				},
			});
		this.finished = this.#run(generation, onChange);
	}

	/** Asks something new. @param version - what an answer that never began is asked again as */
	static ask(
		tabmesh: Tabmesh,
		prompt: string,
		earlier: readonly Turn[],
		model: Asked,
		onChange: () => void,
		version?: Pick<Turn, "id" | "createdAt">,
	): Answer {
		const { system } = model.settings;
		const messages = [
			...(system === undefined ? [] : [{ role: "system" as const, content: system }]),
			...historyOf(earlier),
			{ role: "user" as const, content: prompt },
		];
		const turn = newTurn({
			prompt,
			chats: model.chats,
			private: model.private,
			model: model.name,
			parent: earlier.at(-1)?.id,
			...(version ? { id: version.id, createdAt: version.createdAt } : {}),
		});
		const asked = {
			...optionsOf(model.settings),
			model: model.id,
			...(model.chats ? { messages } : { prompt }),
			...(model.private ? { private: true } : {}),
		};
		return new Answer(turn, (events) => tabmesh.generate({ ...asked, ...events }), onChange);
	}

	/** Goes on with an answer that was left. */
	static resume(tabmesh: Tabmesh, turn: Turn, left: string, onChange: () => void): Answer {
		return new Answer(turn, (events) => tabmesh.resume(left, events), onChange);
	}

	stop(): void {
		this.#stopped = true;
		this.#generation?.cancel();
	}

	/** Leaves the answer where it is: what `Tabmesh.resume` takes, undefined where nothing had come yet. */
	leave(): string | undefined {
		return this.#generation?.detach();
	}

	#wait(waiting: Turn["waiting"], onChange?: () => void): void {
		this.turn.waiting = waiting;
		clearInterval(this.#ticking);
		onChange?.();
		if (onChange && waiting?.until !== undefined) this.#ticking = setInterval(onChange, tickMs);
	}

	async #run(begin: () => Generation, onChange: () => void): Promise<void> {
		const { turn } = this;
		const start = performance.now();
		const before = turn.before ?? 0;
		let text = "";
		let tokens = 0;
		try {
			const generation = begin();
			this.#generation = generation;
			// Read only after the iteration; where that throws first, this must not count as unhandled.
			generation.summary.catch(() => {});
			for await (const piece of generation) {
				text += piece.text;
				// What was there before the page was reloaded stands there already.
				if (++tokens <= before) continue;
				turn.lastTokenAt = performance.now();
				turn.firstTokenAt ??= turn.lastTokenAt;
				if (turn.before === undefined) turn.firstTokenMs ??= turn.lastTokenAt - start;
				turn.text = text;
				turn.tokens = tokens;
				onChange();
			}
			turn.summary = await generation.summary;
			turn.stages = turn.summary.stages;
			turn.text = turn.summary.text;
			turn.status = this.#stopped || turn.summary.finishReason === "cancelled" ? "stopped" : "done";
		} catch (error) {
			turn.status = this.#stopped ? "stopped" : "failed";
			if (!this.#stopped) turn.error = error;
		}
		this.#wait(undefined);
		onChange();
	}
}
