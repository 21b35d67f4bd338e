import type { Engine, EngineHandle, StreamKey } from "@tabmesh/model";
import { greedy, sample } from "../sampling/sampling.ts";
import type { Drafter } from "./drafter.ts";
import { LookupDrafter } from "./lookupDrafter.ts";

/** What stood in the text before for so many tokens goes on as it did there, more surely than a small model knows. */
const SURE_MATCH = 6;
/** Positions of the small model's memory that one text has at most: what is near decides what comes next. */
const MOST_POSITIONS = 512;

let streams = 0;

/** Positions that a model of that context has memory for, of each text. */
export function draftPositions(contextLength: number): number {
	return Math.min(MOST_POSITIONS, contextLength);
}

/** A loaded model that has the same vocabulary as the one it drafts for, and far fewer weights. */
export interface DraftModel {
	readonly engine: Engine;
	/** Of the whole model. */
	readonly handle: EngineHandle;
	readonly contextLength: number;
}

/**
 * Drafts of a small model (Leviathan, Kalman and Matias 2023): its own likeliest tokens. Where a long enough piece of the text repeats
 * itself, it goes on as it did before. Of a text that is longer than the model's context it knows the end.
 */
export class ModelDrafter implements Drafter {
	readonly #model: DraftModel;
	readonly #stream: StreamKey = `draft ${streams++}`;
	readonly #positions: number;
	readonly #lookup = new LookupDrafter(SURE_MATCH);
	/** What the model has in its memory: the text from `#start` on, and what it thought came next. */
	readonly #fed: number[] = [];
	#start = 0;
	/** One call after the other; undefined before the first. */
	#ready: Promise<unknown> | undefined;
	#closed = false;

	constructor(model: DraftModel) {
		this.#model = model;
		this.#positions = draftPositions(model.contextLength);
	}

	draft(
		tokens: Int32Array,
		wanted: (matched?: number) => number,
	): readonly number[] | Promise<readonly number[]> {
		const found = this.#lookup.draft(tokens, wanted);
		if (found.length > 0 || this.#closed) return found;
		const most = Math.min(wanted(), this.#positions >> 1);
		// The view is the caller's.
		const text = tokens.slice();
		this.#ready ??= this.#model.engine.reserve(this.#model.handle, this.#stream, this.#positions);
		const drafted = this.#ready.then(() => (this.#closed ? [] : this.#decode(text, most)));
		this.#ready = drafted;
		return drafted;
	}

	async #decode(tokens: Int32Array, most: number): Promise<readonly number[]> {
		const { engine, handle } = this.#model;
		if (tokens.length - this.#start + most > this.#positions) {
			this.#start = tokens.length - (this.#positions >> 1);
			this.#fed.length = 0;
			await engine.truncate(this.#stream, 0);
		}
		const text = tokens.subarray(this.#start);
		let known = 0;
		while (known < this.#fed.length && known < text.length - 1 && this.#fed[known] === text[known]) known++;
		if (known < this.#fed.length) {
			this.#fed.length = known;
			await engine.truncate(this.#stream, known);
		}
		const drafts: number[] = [];
		for (let input = text.slice(known); drafts.length < most && !this.#closed; ) {
			const position = this.#fed.length;
			const [result] = await engine.forward(handle, [{ stream: this.#stream, position, input }], {
				logits: "last",
			});
			this.#fed.push(...input);
			const draft = sample(result!.logits!, greedy, position);
			drafts.push(draft);
			input = Int32Array.of(draft);
		}
		return drafts;
	}

	close(): void {
		this.#closed = true;
		const release = (): Promise<void> => this.#model.engine.release(this.#stream);
		this.#ready?.then(release, release).catch(() => {});
	}
}
