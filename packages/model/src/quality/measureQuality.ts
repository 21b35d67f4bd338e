import { type HiddenState, ModelFileError, type Span, type TensorEntry } from "@tabmesh/wire";
import type { Engine, ForwardResult, ForwardRow, LoadSpec } from "../engine.ts";
import type { WeightFormat } from "../graph/spanGraph.ts";
import type { ModelRef, ReadOptions, ShardSource } from "../shardSource.ts";

/** How far the formats of a model stray from float32, and how large its hidden states become. */
export interface Quality {
	/** Next tokens that were compared. */
	readonly positions: number;
	/** Of those, how many a format names as float32 does. */
	readonly agreed: Readonly<Partial<Record<WeightFormat, number>>>;
	/** The largest absolute value of the residual stream between layers, in float32. */
	readonly largestResidual: number;
}

export interface MeasureQualityOptions {
	/** Runs spans in one format; closed by whoever made it. */
	readonly engines: Readonly<Partial<Record<WeightFormat, Engine>>> & { readonly f32: Engine };
	readonly signal?: AbortSignal;
	readonly onProgress?: (progress: { readonly doneSpans: number; readonly totalSpans: number }) => void;
}

/**
 * Reads `texts` with a model in float32 and in other formats side by side, and counts where the likeliest next token is the
 * same. Teacher-forced: every format reads the same text, whatever it would have written.
 *
 * Goes layer by layer, so that no more of the model is in memory than one layer (or the embedding, or the head) in one format
 * and its source bytes, and every source byte is read once.
 *
 * @param texts - token ids, each text at least two tokens long
 * @throws ModelFileError when the model computes no numbers; what engines and source throw; the signal's reason
 */
export async function measureQuality(
	model: ModelRef,
	source: ShardSource,
	texts: readonly (readonly number[])[],
	options: MeasureQualityOptions,
): Promise<Quality> {
	const { engines, onProgress } = options;
	const { layers } = model.manifest.config;
	const formats = Object.keys(engines) as WeightFormat[];
	const shared = new SharedSource(source);
	const run = <T>(
		format: WeightFormat,
		span: Span,
		inputs: readonly ForwardRow["input"][],
		take: (result: ForwardResult) => T,
	): Promise<T[]> => runSpan(engines[format]!, { model, span }, shared, inputs, take, options.signal);
	const totalSpans = layers + 2;
	let doneSpans = 0;
	const report = (): void => onProgress?.({ doneSpans: ++doneSpans, totalSpans });

	// The embedding is in float32 in every format.
	const tokens = texts.map((text) => Int32Array.from(text));
	const embedded = await run("f32", { from: 0, to: 0, embed: true, head: false }, tokens, hiddenOf);
	const states = new Map(formats.map((format) => [format, embedded]));
	report();

	let largestResidual = 0;
	for (let layer = 0; layer < layers; layer++) {
		const span: Span = { from: layer, to: layer + 1, embed: false, head: false };
		shared.forget();
		for (const format of formats) states.set(format, await run(format, span, states.get(format)!, hiddenOf));
		for (const { data } of states.get("f32")!)
			for (const value of data) largestResidual = Math.max(largestResidual, Math.abs(value));
		if (!Number.isFinite(largestResidual)) {
			throw new ModelFileError(`Layer ${layer + 1} of this model computes something that is no number.`);
		}
		report();
	}

	shared.forget();
	const head: Span = { from: layers, to: layers, embed: false, head: true };
	const chosen = new Map<WeightFormat, number[]>();
	for (const format of formats) {
		const choices = await run(format, head, states.get(format)!, ({ logits }) =>
			likeliest(logits!, model.manifest.config.vocabularySize),
		);
		chosen.set(format, choices.flat());
	}
	report();

	const expected = chosen.get("f32")!;
	const agreed: Partial<Record<WeightFormat, number>> = {};
	for (const [format, choices] of chosen)
		agreed[format] = choices.filter((token, i) => token === expected[i]).length;
	return { positions: expected.length, agreed, largestResidual };
}

/** Loads a span, sends every text through it, and unloads it. */
async function runSpan<T>(
	engine: Engine,
	spec: LoadSpec,
	source: ShardSource,
	inputs: readonly ForwardRow["input"][],
	take: (result: ForwardResult) => T,
	signal: AbortSignal | undefined,
): Promise<T[]> {
	const handle = await engine.load(spec, source, signal ? { signal } : {});
	const stream = "quality";
	const taken: T[] = [];
	try {
		for (const input of inputs) {
			signal?.throwIfAborted();
			await engine.reserve(handle, stream, input instanceof Int32Array ? input.length : input.rows);
			const [result] = await engine.forward(handle, [{ stream, position: 0, input }], { logits: "all" });
			taken.push(take(result!));
			await engine.release(stream);
		}
	} finally {
		await engine.release(stream);
		await engine.unload(handle);
	}
	return taken;
}

function hiddenOf({ hidden }: ForwardResult): HiddenState {
	return hidden!;
}

/** The likeliest token of each row. */
function likeliest(logits: Float32Array, vocabularySize: number): number[] {
	const best: number[] = [];
	for (let start = 0; start < logits.length; start += vocabularySize) {
		let token = 0;
		for (let i = 1; i < vocabularySize; i++) if (logits[start + i]! > logits[start + token]!) token = i;
		best.push(token);
	}
	return best;
}

/** Keeps what was read for the other formats of the same span: a model behind an address is not fetched once for each. */
class SharedSource implements ShardSource {
	readonly #source: ShardSource;
	readonly #read = new Map<string, Promise<Uint8Array<ArrayBuffer>>>();

	constructor(source: ShardSource) {
		this.#source = source;
	}

	forget(): void {
		this.#read.clear();
	}

	read(model: ModelRef, tensor: TensorEntry, options?: ReadOptions): Promise<Uint8Array<ArrayBuffer>> {
		let bytes = this.#read.get(tensor.name);
		if (!bytes) {
			bytes = this.#source.read(model, tensor, options);
			this.#read.set(tensor.name, bytes);
		}
		// An engine may hand what it reads over to another thread.
		return bytes.then((read) => read.slice());
	}
}
