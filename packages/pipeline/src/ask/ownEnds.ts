import {
	type Engine,
	type EngineHandle,
	type LoadProgress,
	type ModelRef,
	type ShardSource,
	tensorsOfSpan,
} from "@tabmesh/model";
import { InvalidParameterError, OutOfMemoryBudgetError, type Span, StageLostError } from "@tabmesh/wire";
import { FinalNorms } from "../embedding/finalNorms.ts";
import { spanOf } from "../plan/modelSizes.ts";
import { ModelConstraints } from "../sampling/modelConstraints.ts";
import type { Drafter } from "../speculation/drafter.ts";
import { LookupDrafter } from "../speculation/lookupDrafter.ts";
import { BatchQueue } from "../stage/batchQueue.ts";
import { KeptPrefixes } from "../stage/keptPrefixes.ts";

/**
 * Layers that the asker of a private stream computes himself. With none, what leaves is a row of the embedding itself. More of them hide
 * little more and cost him memory and time: of 84 tokens the nearest row of the embedding was the right one behind 1, 2, 3 layers for 73, 40
 * and 6 in stories15M, and for all of them in TinyLlama, for 77 even behind half of its layers.
 */
const OWN_LAYERS = 2;
/** Of the keys that links are made with: as long as SHA-256's output. */
const KEY_BYTES = 32;

/** What the asker of a model keeps for himself before all others: the embedding, and the first layers. At least one is left for others. */
export function ownSpanOf({ manifest }: ModelRef): Span {
	const { layers } = manifest.config;
	return spanOf(0, Math.min(OWN_LAYERS, layers - 1), layers);
}

export interface OwnEndsInit {
	/** This device's, with nothing else in it. */
	engine: Engine;
	source: ShardSource;
	model: ModelRef;
	signal?: AbortSignal;
	onProgress?: (progress: LoadProgress) => void;
	/** What guesses tokens. @default what stood in the text before */
	drafter?: (model: ModelRef) => Drafter;
}

/**
 * The two ends of a model on the asker's own device: embedding and first layers, final norm and head. With them he asks in private: other
 * stages see hidden states and neither tokens nor what tells them.
 */
export class OwnEnds {
	readonly engine: Engine;
	readonly model: ModelRef;
	readonly first: EngineHandle;
	readonly head: EngineHandle;
	/** What waits for the first layers, and for the head. */
	readonly queue: BatchQueue;
	readonly headQueue: BatchQueue;
	readonly prefixes: KeptPrefixes;
	readonly constraints: ModelConstraints;
	readonly norms: FinalNorms;
	/** What the links of streams are made with; it never leaves this device. */
	readonly key: Uint8Array<ArrayBuffer> = crypto.getRandomValues(new Uint8Array(KEY_BYTES));
	readonly drafter: (model: ModelRef) => Drafter;
	#streams = 0;
	#lost: StageLostError | undefined;
	readonly #onLost = new Set<(error: StageLostError) => void>();

	private constructor(
		{ engine, model, source, drafter }: OwnEndsInit,
		first: EngineHandle,
		head: EngineHandle,
	) {
		this.engine = engine;
		this.model = model;
		this.first = first;
		this.head = head;
		this.queue = new BatchQueue(engine);
		this.headQueue = new BatchQueue(engine);
		this.constraints = new ModelConstraints(source);
		this.norms = new FinalNorms(source);
		this.prefixes = new KeptPrefixes(engine);
		this.drafter = drafter ?? (() => new LookupDrafter());
		engine.addEventListener("devicelost", this.#onDeviceLost);
	}

	/**
	 * Loads them.
	 *
	 * @throws OutOfMemoryBudgetError where they do not fit in the engine's budget, InvalidParameterError where the model has too few
	 * layers to leave any to others, and what `Engine.load` throws; nothing is loaded then
	 */
	static async load(init: OwnEndsInit): Promise<OwnEnds> {
		const { engine, model, source, signal, onProgress } = init;
		const { layers } = model.manifest.config;
		const own = ownSpanOf(model);
		if (own.to === 0) {
			throw new InvalidParameterError(
				"A model of one layer cannot be asked in private: nothing of it would be left to others.",
			);
		}
		const spans: Span[] = [own, { from: layers, to: layers, embed: false, head: true }];
		const sizes = spans.map((span) =>
			tensorsOfSpan(model.manifest, span).reduce((sum, { bytes }) => sum + bytes, 0),
		);
		const totalBytes = sizes.reduce((sum, bytes) => sum + bytes, 0);
		const handles: EngineHandle[] = [];
		try {
			for (const [i, span] of spans.entries()) {
				const before = i === 0 ? 0 : sizes[0]!;
				handles.push(
					await engine.load({ model, span }, source, {
						...(signal ? { signal } : {}),
						onProgress: (progress) => {
							const share = progress.totalBytes > 0 ? progress.loadedBytes / progress.totalBytes : 0;
							onProgress?.({ phase: progress.phase, loadedBytes: before + share * sizes[i]!, totalBytes });
						},
					}),
				);
			}
		} catch (error) {
			for (const handle of handles) await engine.unload(handle).catch(() => {});
			throw error instanceof OutOfMemoryBudgetError ? tooLarge(engine, error) : error;
		}
		return new OwnEnds(init, handles[0]!, handles[1]!);
	}

	/** Layers computed here. */
	get layers(): number {
		return this.first.span.to;
	}

	/** Answers that are computed with them now. */
	get streams(): number {
		return this.#streams;
	}

	/** Why they are of no use any more, where they are not. */
	get lost(): StageLostError | undefined {
		return this.#lost;
	}

	/**
	 * A stream begins here.
	 *
	 * @param onLost - called when this device lost all that is loaded
	 * @returns to be called when it has ended
	 */
	enter(onLost: (error: StageLostError) => void): () => void {
		this.#streams++;
		this.#onLost.add(onLost);
		return () => {
			if (this.#onLost.delete(onLost)) this.#streams--;
		};
	}

	/** Frees everything; streams that run here fail. */
	async unload(): Promise<void> {
		this.engine.removeEventListener("devicelost", this.#onDeviceLost);
		this.#lose(new StageLostError("This device has freed its own part of the answer."));
		// After a lost device the engine does not know them any more.
		for (const handle of [this.first, this.head]) await this.engine.unload(handle).catch(() => {});
	}

	readonly #onDeviceLost = (): void => {
		this.#lose(
			new StageLostError("This device lost its GPU, and with it its own part of the answer.", {
				metaMessages: ["Ask again: it is loaded anew."],
			}),
		);
	};

	#lose(error: StageLostError): void {
		this.#lost = error;
		this.prefixes.keeps = false;
		for (const tell of [...this.#onLost]) tell(error);
	}
}

function tooLarge({ info }: Engine, cause: OutOfMemoryBudgetError): OutOfMemoryBudgetError {
	return new OutOfMemoryBudgetError(
		`This device has too little memory to keep its own part of the model: it may use ${megabytes(info.memoryBytes)}.`,
		{
			metaMessages: ["Ask without private mode, or choose a smaller model."],
			details: { ...cause.details, memoryBytes: info.memoryBytes },
			cause,
		},
	);
}

function megabytes(bytes: number): string {
	return `${Math.round(bytes / 1e6)} MB`;
}
