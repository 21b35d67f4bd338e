import type { AnswerPiece, GenerateOptions, GenerationSummary, Tabmesh } from "../tabmesh.ts";
import type { GenerationRequest } from "./requests.ts";
import type { Usage } from "./shapes.ts";

/** What of one request is under way at once: half of the streams that a lender serves one asker. */
export const MOST_AT_ONCE = 4;

/** What became of one answer: a piece more, or its end. */
interface AnswerEvent {
	readonly index: number;
	readonly piece?: AnswerPiece;
	readonly summary?: GenerationSummary;
}

/**
 * The answers of one request, as they come; an error of one is an error of all. Of the answers to one prompt the first begins alone: what its
 * lenders computed of the prompt the others take over.
 */
export class RunningAnswers implements AsyncIterable<AnswerEvent> {
	/** What they cost so far, each prompt counted once. */
	readonly usage: Usage = { prompt_tokens: 0, completion_tokens: 0, total_tokens: 0 };
	readonly #mesh: Tabmesh;
	readonly #request: GenerationRequest;
	readonly #options: { readonly apart: string | undefined; readonly signal: AbortSignal | undefined };
	readonly #stop = new AbortController();
	#free = MOST_AT_ONCE;
	readonly #waiting: (() => void)[] = [];

	constructor(
		mesh: Tabmesh,
		request: GenerationRequest,
		options: { readonly apart: string | undefined; readonly signal: AbortSignal | undefined },
	) {
		this.#mesh = mesh;
		this.#request = request;
		this.#options = options;
	}

	async *[Symbol.asyncIterator](): AsyncGenerator<AnswerEvent, void> {
		const { prompts, answersEach: each } = this.#request;
		const begun = prompts.map(() => Promise.withResolvers<void>());
		const streams = prompts.flatMap((options, place) =>
			Array.from({ length: each }, (_, i) => this.#write(options, place * each + i, i, begun[place]!)),
		);
		const next = (stream: AsyncGenerator<AnswerEvent, void>) => {
			const due = stream.next().then((result) => ({ stream, result }));
			// Who takes the pieces may take his time; he is told then.
			due.catch(() => {});
			return due;
		};
		const due = new Map(streams.map((stream) => [stream, next(stream)]));
		try {
			while (due.size > 0) {
				const { stream, result } = await Promise.race(due.values());
				if (result.done) due.delete(stream);
				else {
					due.set(stream, next(stream));
					yield result.value;
				}
			}
		} finally {
			this.#stop.abort();
			for (const wake of this.#waiting.splice(0)) wake();
			for (const { resolve } of begun) resolve();
			await Promise.allSettled(due.values());
		}
	}

	/** @param nth - of the answers to the same prompt */
	async *#write(
		{ seed, ...options }: GenerateOptions,
		index: number,
		nth: number,
		begun: PromiseWithResolvers<void>,
	): AsyncGenerator<AnswerEvent, void> {
		if (nth > 0) await begun.promise;
		await this.#place();
		try {
			if (this.#stop.signal.aborted) return;
			const { apart, signal: gone } = this.#options;
			const signal = gone ? AbortSignal.any([gone, this.#stop.signal]) : this.#stop.signal;
			// Each answer draws for itself, and the same one with the same seed.
			const own = seed === undefined ? {} : { seed: (seed + nth) >>> 0 };
			const people = apart === undefined ? {} : { apart };
			const generation = this.#mesh.generate({ ...options, ...own, ...people, signal });
			for await (const piece of generation) {
				begun.resolve();
				yield { index, piece };
			}
			const summary = await generation.summary;
			const { promptTokens, tokens } = summary;
			if (nth === 0) this.usage.prompt_tokens += promptTokens.length;
			this.usage.completion_tokens += tokens.length;
			this.usage.total_tokens = this.usage.prompt_tokens + this.usage.completion_tokens;
			yield { index, summary };
		} finally {
			begun.resolve();
			this.#free++;
			this.#waiting.shift()?.();
		}
	}

	async #place(): Promise<void> {
		while (this.#free === 0 && !this.#stop.signal.aborted)
			await new Promise<void>((resolve) => this.#waiting.push(resolve));
		this.#free--;
	}
}
