import { type ModelRef, originParts, type ReadOptions, type ShardSource } from "@tabmesh/model";
import type { BlockReading, HttpOrigin, R1fs } from "@tabmesh/r1fs";
import {
	FileNotFoundError,
	limits,
	ModelSourceError,
	type Origin,
	ShardIntegrityError,
	type TabmeshError,
	type TensorEntry,
} from "@tabmesh/wire";
import type { NetworkModel } from "./networkModel.ts";

export interface WeightSourceOptions {
	/** What this device keeps, and the peers that it may ask. */
	files: Promise<R1fs>;
	/** Told of what goes wrong without ending anything: a peer or an origin with wrong bytes. */
	onNotice: (error: TabmeshError) => void;
}

/** Chunks of one tensor that are wanted at once: enough for a dozen sources, and few enough to lie in memory twice. */
const chunksAtOnce = 32;
/** Without any new chunk for so long, a tensor is given up: retries of a busy web server fit in. */
const patienceMs = 20_000;

/**
 * Where a model's weights come from: this device first, then peers that hold its layers and its origins on the web, each
 * as much as it is quick. A chunk of the manifest is a raw block of R1FS, by the hash that the manifest gives.
 */
export function weightSource(model: NetworkModel, { files, onNotice }: WeightSourceOptions): ShardSource {
	const places = tensorPlaces(model);
	const origins = model.origins.map((origin) => webOrigin(model, origin, places, onNotice));
	const about = { name: model.name, size: sizeOf(model) };
	const refused = new Set<string>();
	const onRefused = (source: string): void => {
		refused.add(source);
		onNotice(new ShardIntegrityError(`${source} sent wrong bytes of ${model.name}; it is asked no more.`));
	};
	let reading: BlockReading | undefined;
	let readers = 0;

	return {
		async read(_model: ModelRef, tensor: TensorEntry, { signal, onProgress }: ReadOptions = {}) {
			const start = places.get(tensor.name);
			if (start === undefined) throw new ModelSourceError(`${model.name} has no ${tensor.name}.`);
			const { openBlocks } = await files;
			signal?.throwIfAborted();
			readers++;
			reading ??= openBlocks(model.id, { origins, patienceMs, onRefused, about });
			const blocks = reading;
			// One chunk that cannot be had ends the others.
			const failure = new AbortController();
			const either = signal ? AbortSignal.any([signal, failure.signal]) : failure.signal;
			const whole = new Uint8Array(tensor.bytes);
			const chunks = tensor.chunks.entries();
			let loadedBytes = 0;
			const readOn = async (): Promise<void> => {
				for (const [index, digest] of chunks) {
					const at = index * limits.chunkBytes;
					const size = Math.min(limits.chunkBytes, tensor.bytes - at);
					const bytes = await blocks.read({ digest, size, offset: start + at }, { signal: either });
					// The hash was right: a manifest whose lengths and hashes contradict each other is nobody's fault here.
					if (bytes.byteLength !== size) throw wrongLength(tensor, index);
					whole.set(bytes, at);
					loadedBytes += size;
					onProgress?.(loadedBytes);
				}
			};
			try {
				await Promise.all(Array.from({ length: Math.min(chunksAtOnce, tensor.chunks.length) }, readOn));
				return whole;
			} catch (error) {
				failure.abort(error);
				signal?.throwIfAborted();
				throw error instanceof FileNotFoundError ? notToBeHad(model, tensor, refused, error) : error;
			} finally {
				// Who reads no more holds no streams to peers.
				if (--readers === 0) {
					reading?.close();
					reading = undefined;
				}
			}
		},
	};
}

function sizeOf({ manifest }: ModelRef): number {
	return manifest.tensors.reduce((sum, { bytes }) => sum + bytes, 0);
}

/** Where each tensor begins when all of them lie one behind the other, as the manifest lists them. */
function tensorPlaces({ manifest }: ModelRef): ReadonlyMap<string, number> {
	const places = new Map<string, number>();
	let at = 0;
	for (const { name, bytes } of manifest.tensors) {
		places.set(name, at);
		at += bytes;
	}
	return places;
}

function webOrigin(
	model: NetworkModel,
	origin: Origin,
	places: ReadonlyMap<string, number>,
	onNotice: WeightSourceOptions["onNotice"],
): HttpOrigin {
	let broken = false;
	return {
		kind: "parts",
		url: origin.baseUrl,
		locate(offset, length) {
			const tensor = model.manifest.tensors.findLast(({ name }) => places.get(name)! <= offset);
			if (broken || !tensor) return [];
			try {
				return originParts(model, tensor, origin, { offset: offset - places.get(tensor.name)!, length });
			} catch (error) {
				if (!(error instanceof ShardIntegrityError)) throw error;
				broken = true;
				onNotice(error);
				return [];
			}
		},
	};
}

function wrongLength(tensor: TensorEntry, index: number): ShardIntegrityError {
	return new ShardIntegrityError(`Chunk ${index} of ${tensor.name} has another length than the model says.`, {
		details: { tensor: tensor.name, chunk: index },
	});
}

function notToBeHad(
	model: NetworkModel,
	tensor: TensorEntry,
	refused: ReadonlySet<string>,
	cause: FileNotFoundError,
): TabmeshError {
	const details = { tensor: tensor.name, refused: refused.size };
	if (refused.size > 0 && refused.size >= model.origins.length) {
		return new ShardIntegrityError(`Every source of ${tensor.name} that is here has sent wrong bytes.`, {
			cause,
			details,
		});
	}
	return new ModelSourceError(
		`${tensor.name} cannot be had now: neither a peer that is here nor an origin on the web gives it.`,
		{
			cause,
			metaMessages: ["Check the connection, or wait for another device that lends this model."],
			details,
		},
	);
}
