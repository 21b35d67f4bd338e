import type { ModelRef } from "@tabmesh/model";
import { dtypeBytes, type Span } from "@tabmesh/wire";
import { FIRST_LINK, type Link } from "../tokenChain.ts";

/** What a stage computed in one step, as it goes to its successor. */
export interface SentStep {
	/** Position of the first row. */
	readonly position: number;
	readonly rows: number;
	/** The token chain after the last row. */
	readonly chain: Link;
	/** Whether a token is to be sampled behind the last row. */
	readonly last: boolean;
	/** Where the rows behind the first are drafts: the chain after each row but the last. Else empty. */
	readonly links: readonly Link[];
	/** Hidden states as they travel, row-major; empty at the last stage, which sends none. */
	readonly bytes: Uint8Array;
}

/** A chunk of a prompt whose end was cut off has no chain of its own any more: it travels together with the one behind it. */
interface KeptStep extends Omit<SentStep, "chain"> {
	readonly chain: Link | undefined;
}

/**
 * Everything that a stage sent on one stream, so that whoever takes its successor's place can have it again. The bytes are
 * those that were sent, not copies.
 */
export class SentHistory {
	/** Bytes of one position. */
	readonly rowBytes: number;
	readonly #steps: KeptStep[] = [];
	#end = 0;
	#bytes = 0;
	/** Behind the positions before it no token is asked for any more, whatever their steps say: it is known. */
	#known = 0;

	constructor(rowBytes: number) {
		this.rowBytes = rowBytes;
	}

	/** Positions in it; the next step begins here. */
	get end(): number {
		return this.#end;
	}

	/** Bytes that it holds. */
	get bytes(): number {
		return this.#bytes;
	}

	/** How far it is certain, and the chain there: drafts of the newest step may be rejected yet. */
	get certain(): { readonly position: number; readonly chain: Link } {
		const newest = this.#steps.at(-1);
		const [link] = newest && this.#asks(newest) ? newest.links : [];
		if (link) return { position: newest!.position + 1, chain: link };
		return { position: this.#end, chain: newest?.chain ?? FIRST_LINK };
	}

	/** Adds the step that begins at `end`. */
	push(step: SentStep): void {
		this.#keep(step);
	}

	/**
	 * Forgets every position from `position` on, and those before it that were computed in one step with it: what the chain
	 * was between them only those know who have the tokens. What remains asks for no token any more.
	 */
	truncate(position: number): void {
		this.rollback(position);
		while (this.#steps.length > 0 && !this.#steps.at(-1)!.chain) this.#drop();
		this.#known = this.#end;
	}

	/** Forgets the positions from `position` on, because the next step begins there: rejected drafts. */
	rollback(position: number): void {
		while (this.#end > position) {
			const step = this.#drop();
			if (step.position >= position) continue;
			const rows = position - step.position;
			const bytes = step.bytes.subarray(0, rows * this.rowBytes);
			const links = step.links.slice(0, rows - 1);
			this.#keep({ ...step, rows, chain: step.links[rows - 1], links, last: false, bytes });
		}
	}

	/** A history of the first `position` positions, behind which the chain is `chain`: where another stream goes on. */
	beginning(position: number, chain: Link): SentHistory {
		const begun = new SentHistory(this.rowBytes);
		for (const step of this.#steps) {
			const rows = Math.min(step.rows, position - step.position);
			if (rows <= 0) break;
			const bytes = step.bytes.subarray(0, rows * this.rowBytes);
			const isLast = step.position + rows === position;
			const links = step.links.slice(0, rows - 1);
			begun.#keep({ ...step, rows, links, bytes, chain: isLast ? chain : step.chain });
		}
		begun.#known = begun.#end;
		return begun;
	}

	/**
	 * What goes next to whoever has the positions before `position`: one run, as it was computed here, so that it is computed in the same
	 * way again. A chunk of a prompt goes as that chunk, and a position that was decoded by itself, though it may have been a draft beside
	 * others: kernels for one position and for several add up in another order. Undefined at the end.
	 */
	from(position: number): SentStep | undefined {
		if (position >= this.#end) return undefined;
		let at = this.#steps.length - 1;
		while (this.#steps[at]!.position > position) at--;
		const first = this.#steps[at]!;
		// The everyday case: the newest step, as it is.
		if (first.position === position && first.chain && this.#asks(first) === first.last) {
			if (first.last || first.links.length === 0) return first as SentStep;
		}
		const skipped = position - first.position;
		const rest = first.bytes.subarray(skipped * this.rowBytes);
		if (first.links.length > 0 && !this.#asks(first)) {
			const chain = first.links[skipped] ?? first.chain!;
			return { position, rows: 1, chain, last: false, links: [], bytes: rest.subarray(0, this.rowBytes) };
		}
		const parts = [rest];
		let newest = first;
		while (!newest.chain) {
			const next = this.#steps[++at];
			if (!next) return undefined;
			parts.push(next.bytes);
			newest = next;
		}
		return {
			position,
			rows: newest.position + newest.rows - position,
			chain: newest.chain,
			last: this.#asks(newest),
			links: newest === first && this.#asks(first) ? first.links.slice(skipped) : [],
			bytes: parts.length === 1 ? rest : joined(parts),
		};
	}

	#asks(step: KeptStep): boolean {
		return step.last && step.position + step.rows > this.#known;
	}

	#keep(step: KeptStep): void {
		this.#steps.push(step);
		this.#end = step.position + step.rows;
		this.#bytes += step.bytes.byteLength;
	}

	#drop(): KeptStep {
		const step = this.#steps.pop()!;
		this.#end = step.position;
		this.#bytes -= step.bytes.byteLength;
		return step;
	}
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
	const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.byteLength, 0));
	let at = 0;
	for (const part of parts) {
		bytes.set(part, at);
		at += part.byteLength;
	}
	return bytes;
}

/** Bytes that a stage with `span` keeps of one position: what it sends its successor, and the last stage sends nothing. */
export function historyRowBytes({ manifest }: ModelRef, span: Span): number {
	return span.head ? 0 : manifest.config.hiddenSize * dtypeBytes[manifest.boundary];
}
