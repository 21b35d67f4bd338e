import { limits, ModelSourceError, type Origin, ShardIntegrityError, type TensorEntry } from "@tabmesh/wire";
import { chunkRange, verifyChunks } from "../manifest/chunks.ts";
import type { ModelRef, ReadOptions, ShardSource } from "../shardSource.ts";
import { fetchRange } from "./fetchRange.ts";
import { originParts } from "./originParts.ts";

export interface HttpSourceOptions {
	/** Records that were checked against their schema. The first is preferred. */
	origins: readonly Origin[];
	/** What relative addresses of origins stand on; in a page usually the page's own. */
	base?: string | URL;
	/** Told when an origin sent wrong bytes, or describes the model wrongly. It is not asked again. */
	onBadOrigin?: (origin: Origin, error: ShardIntegrityError) => void;
}

/** Chunks asked for in one request: long enough that the round trip does not count, short enough to change the origin midway. */
const requestChunks = 4;
/** Requests under way at once: what browsers open to one HTTP/1.1 host. */
const requestsAtOnce = 6;

/**
 * Verified weights by HTTP byte ranges. A request that fails goes to the next origin; one that sends wrong bytes is refused for
 * good and reported.
 *
 * @throws ShardIntegrityError when every origin gave wrong bytes, ModelSourceError when none could be reached
 */
export function httpSource(options: HttpSourceOptions): ShardSource {
	const refused = new Set<Origin>();
	const turns = new Turns(requestsAtOnce);

	async function readPiece(
		model: ModelRef,
		tensor: TensorEntry,
		first: number,
		signal: AbortSignal | undefined,
		onBytes: (bytes: number) => void,
	): Promise<Uint8Array<ArrayBuffer>> {
		const { offset } = chunkRange(tensor.bytes, first);
		const length = Math.min(requestChunks * limits.chunkBytes, tensor.bytes - offset);
		let lastError: unknown;
		for (const origin of options.origins) {
			if (refused.has(origin) || origin.model !== model.id) continue;
			let counted = 0;
			try {
				const requests = originParts(model, tensor, origin, { offset, length }, options.base);
				const piece = new Uint8Array(length);
				let at = 0;
				for (const request of requests) {
					await fetchRange(request, piece.subarray(at, at + request.length), signal, (bytes) => {
						counted += bytes;
						onBytes(bytes);
					});
					at += request.length;
				}
				await verifyChunks(tensor, first, piece);
				return piece;
			} catch (error) {
				signal?.throwIfAborted();
				onBytes(-counted);
				lastError = error;
				if (error instanceof ShardIntegrityError && !refused.has(origin)) {
					refused.add(origin);
					options.onBadOrigin?.(origin, error);
				}
			}
		}
		if (lastError instanceof ShardIntegrityError) throw lastError;
		if (lastError === undefined && refused.size > 0) {
			throw new ShardIntegrityError(`Every origin of ${tensor.name} has sent wrong bytes.`);
		}
		throw new ModelSourceError(`${tensor.name} cannot be fetched from any of its origins.`, {
			cause: lastError,
			details: { tensor: tensor.name, origins: options.origins.length },
		});
	}

	return {
		async read(model: ModelRef, tensor: TensorEntry, readOptions: ReadOptions = {}) {
			const { signal, onProgress } = readOptions;
			const whole = new Uint8Array(tensor.bytes);
			// One piece that cannot be had ends the others.
			const failure = new AbortController();
			const combined = signal ? AbortSignal.any([signal, failure.signal]) : failure.signal;
			let loadedBytes = 0;
			const onBytes = (bytes: number): void => {
				loadedBytes += bytes;
				onProgress?.(loadedBytes);
			};
			const pieces = Array.from(
				{ length: Math.ceil(tensor.chunks.length / requestChunks) },
				(_, i) => i * requestChunks,
			);
			try {
				await Promise.all(
					pieces.map((first) =>
						turns.take(async () => {
							combined.throwIfAborted();
							const piece = await readPiece(model, tensor, first, combined, onBytes);
							whole.set(piece, chunkRange(tensor.bytes, first).offset);
						}),
					),
				);
			} catch (error) {
				failure.abort(error);
				throw error;
			}
			return whole;
		},
	};
}

/** Lets so many tasks run at once and the others wait in line. */
class Turns {
	#free: number;
	readonly #waiting: (() => void)[] = [];

	constructor(count: number) {
		this.#free = count;
	}

	async take<T>(task: () => Promise<T>): Promise<T> {
		if (this.#free > 0) this.#free--;
		else await new Promise<void>((resolve) => this.#waiting.push(resolve));
		try {
			return await task();
		} finally {
			const next = this.#waiting.shift();
			if (next) next();
			else this.#free++;
		}
	}
}
