import type { Backend, Engine, ShardSource } from "@tabmesh/model";
import { spanSize } from "@tabmesh/model";
import { type DraftModel, draftPositions, spanOf } from "@tabmesh/pipeline";
import { InvalidParameterError, OutOfMemoryBudgetError } from "@tabmesh/wire";
import type { NetworkModel } from "./networkModel.ts";

/** Texts that it drafts for at a time; others are drafted for from what stands in them. */
const mostStreams = 4;
/** Of the graph and its sessions, beside weights, keys and values. */
const graphBytes = 1e6;

/** A small model that this device's owner chose to guess with: in an engine of its own, so that guessing holds nobody up. */
export interface OpenedDraftModel extends DraftModel {
	readonly engine: Engine;
	/** All that it may take. */
	readonly memoryBytes: number;
}

/** Bytes that a draft model takes of what its device lends. */
function draftModelBytes({ manifest }: NetworkModel): number {
	const { layers, contextLength } = manifest.config;
	const { weightBytes, keyValueBytesPerToken } = spanSize(manifest, spanOf(0, layers, layers));
	return weightBytes + graphBytes + mostStreams * draftPositions(contextLength) * keyValueBytesPerToken;
}

/**
 * Loads all of a small model, to draft for `target` with.
 *
 * @throws InvalidParameterError when it has another vocabulary or is not smaller, OutOfMemoryBudgetError, and what loading a model throws
 */
export async function openDraftModel(
	model: NetworkModel,
	target: NetworkModel,
	source: ShardSource,
	options: { lentBytes: number; backend?: Backend; threads?: number; signal: AbortSignal },
): Promise<OpenedDraftModel> {
	const { vocabularySize, layers, contextLength } = model.manifest.config;
	if (vocabularySize !== target.manifest.config.vocabularySize) {
		throw new InvalidParameterError(`${model.name} has another vocabulary than ${target.name}.`, {
			metaMessages: ["Choose a small model of the same family to draft with."],
		});
	}
	if (model.loadedBytes >= target.loadedBytes) {
		throw new InvalidParameterError(
			`${model.name} is no smaller than ${target.name}: drafting with it gains nothing.`,
		);
	}
	const { signal, lentBytes, ...where } = options;
	const memoryBytes = draftModelBytes(model);
	if (memoryBytes >= lentBytes) {
		throw new OutOfMemoryBudgetError(
			`${model.name} takes ${memoryBytes} bytes to draft with, and ${lentBytes} are lent.`,
			{
				details: { bytes: memoryBytes, freeBytes: lentBytes },
			},
		);
	}
	const { createEngine } = await import("@tabmesh/inference");
	const engine = await createEngine({ memoryBytes, ...where });
	try {
		const handle = await engine.load({ model, span: spanOf(0, layers, layers) }, source, { signal });
		return { engine, handle, contextLength, memoryBytes };
	} catch (error) {
		await engine.close();
		throw error;
	}
}
