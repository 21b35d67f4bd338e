import type { Manifest, ModelConfig, Span } from "@tabmesh/wire";
import { embeddingName, finalNormName, headName, layerTensorNames } from "../format/llamaTensors.ts";
import type { GroupedWeights } from "../gguf/dequantise/toGroups.ts";
import { type NBitsWeights, nBitsBlock } from "../gguf/dequantise/toNBits.ts";
import { contrib, type ElementType, elementBytes, elementTypes, OnnxGraph } from "./onnxGraph.ts";
import {
	cosines,
	type SourceWeight,
	sines,
	stackGroupedRows,
	stackQuantisedRows,
	stackRows,
	toFloat32,
} from "./weights.ts";

/** How a span is to be put together for one backend: the table in docs/architecture.md says which backend gets which. */
export interface GraphFormat {
	readonly weights: WeightFormat;
	readonly keyValues: KeyValueFormat;
}

/**
 * What a run gives back of its keys and values. `rows`: those of its own positions, to be put behind the past by whoever keeps it, so that
 * a past of megabytes is not copied out of a WebAssembly heap for every token. `present`: the whole, where past and present are one buffer.
 */
export type KeyValueFormat = "rows" | "present";

/**
 * Matrices in float32; in 8 or 4 bits with one scale for 32 weights (`q8`, `q4`), multiplied with float32; the same 8 bits multiplied with
 * activations that are rounded to 8 bits with one scale for 32 values of one row (`q8a8`, MatMulNBits' accuracy level 4): the CPU has
 * fast kernels for these only, three layers of TinyLlama take 18 ms instead of 1,160; or 8 bits with one scale for up to 256, multiplied
 * as whole numbers with activations in twice 8 bits (`i8`): WebAssembly has fast kernels for such products and for no others below
 * float32. Embedding and norms are float32 in all of them.
 */
export type WeightFormat = "f32" | "q8" | "q8a8" | "i8" | "q4";

/** Names of the graph's inputs and outputs. */
export const graphNames = {
	/** float32 `[batch, sequence, hidden]`. */
	hiddenIn: "hidden_in",
	/** int32 `[batch]`: positions of each row after this run, less one. */
	lengths: "lengths",
	/** int32 `[1]`: positions of the longest row after this run. */
	total: "total",
	/** bool: whether the positions of this run, of one stream, attend as if each came in a run of its own. With `rows` only. */
	alone: "alone",
	/** int32 `[sequence]`: positions up to each one of this run, less one, where it attends alone; else anything of that type. With `rows` only. */
	aloneLengths: "alone_lengths",
	/** int32 `[k]`: which of the batch × sequence positions get logits, where the span has the head. */
	logitRows: "logit_rows",
	/** float32 `[batch, sequence, hidden]`. */
	hiddenOut: "hidden_out",
	/** float32 `[k, vocabulary]`. */
	logits: "logits",
	/** float32 `[batch, keyValueHeads, past positions, headSize]`; `layer` counts from the span's first. */
	pastKey: (layer: number) => `past_key.${layer}`,
	pastValue: (layer: number) => `past_value.${layer}`,
	/**
	 * int32: where this run's positions lie among the rows of the present, seen as `[batch · keyValueHeads · positions, headSize]`; batch by
	 * batch, head by head. With `rows` only.
	 */
	newRows: "new_rows",
	/** float32 `[batch · keyValueHeads · sequence, headSize]`: the rows listed there. */
	newKey: (layer: number) => `new_key.${layer}`,
	newValue: (layer: number) => `new_value.${layer}`,
	presentKey: (layer: number) => `present_key.${layer}`,
	presentValue: (layer: number) => `present_value.${layer}`,
} as const;

/** A weight as the graph wants it, and how it is made from source tensors. */
export interface GraphWeight {
	readonly name: string;
	readonly bytes: number;
	/** Names of the source tensors that {@link make} takes, in order. */
	readonly sources: readonly string[];
	/** Turns the source tensors into the weight's bytes; may return one of them as it is. */
	readonly make: (sources: readonly SourceWeight[]) => Uint8Array<ArrayBuffer>;
}

/** A composed span: the ModelProto, and the weights that go beside it as external data. */
export interface SpanGraph {
	readonly model: Uint8Array<ArrayBuffer>;
	readonly weights: readonly GraphWeight[];
	readonly weightBytes: number;
}

/**
 * Composes the graph of any contiguous span of a model, with the head behind it where the span says so. The embedding is no part of a
 * graph: {@link EmbeddingTable}.
 *
 * Operators: GroupQueryAttention with rotary embedding inside, (Skip)SimplifiedLayerNormalization, MatMul or MatMulNBits. The
 * head runs on the positions listed in `logit_rows` only, so that a prefill does not compute a vocabulary per position.
 */
export function composeSpan(manifest: Manifest, span: Span, format: GraphFormat): SpanGraph {
	return new spans[manifest.config.architecture](manifest.config, span, format).compose();
}

/** Values that share a scale in integer products: more are faster, fewer more exact. */
const mostPerGroup = 256;

/** The largest size of equal groups of `columns`; undefined where they would be so small that nothing is gained. */
function groupOf(columns: number): number | undefined {
	for (let group = Math.min(mostPerGroup, columns); group >= 32; group--)
		if (columns % group === 0) return group;
	return undefined;
}

/** Steps of the low half of a value in one of the high half: twice the 127 that a byte has above zero. */
const lowSteps = 254;

/**
 * Values of each row as two rows of bytes, the second with the remainders of the first: a name for each group `[…, 2, group]`, and
 * all their scales `[…, 1, 2 · groups]`. With the first row alone one token in twenty is another; both together take about as long, since
 * they wait for the same weights.
 */
interface QuantisedInput {
	readonly groups: readonly string[];
	readonly scales: string;
}

/** The smallest graph there is: a session of it wakes a run time up while the weights are still on their way. */
export function composeNothing(): Uint8Array<ArrayBuffer> {
	const graph = new OnnxGraph();
	graph.node("Identity", [graph.input("in", "float32", [1])], { outputs: ["out"] });
	graph.output("out", "float32", [1]);
	return graph.encode();
}

/**
 * `a` (uint8 `[rows, columns]`) times the weight `b` (int8 `[columns, outputs]`) as `out` (int32), which is what integer formats are made
 * of: a session of it shows whether a processor gets such products right.
 */
export function composeIntegerProduct(columns: number, outputs: number): Uint8Array<ArrayBuffer> {
	const graph = new OnnxGraph();
	const input = graph.input("a", "uint8", ["rows", columns]);
	const weight = graph.weight("b", "int8", [columns, outputs], columns * outputs);
	graph.node("MatMulInteger", [input, weight], { outputs: ["out"] });
	graph.output("out", "int32", ["rows", outputs]);
	return graph.encode();
}

/** One small method per piece, after the builder of onnxruntime-genai; another architecture overrides what it does differently. */
class LlamaSpan {
	protected readonly config: ModelConfig;
	readonly #span: Span;
	readonly #format: GraphFormat;
	protected readonly graph = new OnnxGraph();
	readonly #weights: GraphWeight[] = [];
	readonly #quantisedInputs = new Map<string, QuantisedInput>();

	constructor(config: ModelConfig, span: Span, format: GraphFormat) {
		this.config = config;
		this.#span = span;
		this.#format = format;
	}

	compose(): SpanGraph {
		const { hiddenSize } = this.config;
		const start = this.graph.input(graphNames.hiddenIn, "float32", ["batch", "sequence", hiddenSize]);
		const hidden = this.#layers(start);
		this.graph.node("Identity", [hidden], { outputs: [graphNames.hiddenOut] });
		this.graph.output(graphNames.hiddenOut, "float32", ["batch", "sequence", hiddenSize]);
		if (this.#span.head) this.#head(hidden);
		return {
			model: this.graph.encode(),
			weights: this.#weights,
			weightBytes: this.#weights.reduce((sum, weight) => sum + weight.bytes, 0),
		};
	}

	/** The residual stream through every layer: each norm takes the addition before it along. */
	#layers(start: string): string {
		const { from, to } = this.#span;
		if (from === to) return start;
		const { keyValueHeads, headSize, contextLength } = this.config;
		this.graph.input(graphNames.lengths, "int32", ["batch"]);
		this.graph.input(graphNames.total, "int32", [1]);
		const half = [contextLength, headSize / 2];
		this.weight("cosines", "float32", half, [], () => bytesOf(cosines(this.config)));
		this.weight("sines", "float32", half, [], () => bytesOf(sines(this.config)));
		const past = ["batch", keyValueHeads, "past", headSize];
		if (this.#format.keyValues === "rows") {
			this.graph.input(graphNames.newRows, "int32", ["new"]);
			this.graph.input(graphNames.alone, "bool", []);
			this.graph.input(graphNames.aloneLengths, "int32", ["alone"]);
			this.graph.constant("row_shape", [-1, headSize]);
		}
		let residual = start;
		let branch: string | undefined;
		for (let layer = from; layer < to; layer++) {
			const index = layer - from;
			this.graph.input(graphNames.pastKey(index), "float32", past);
			this.graph.input(graphNames.pastValue(index), "float32", past);
			const names = layerTensorNames(layer);
			let normed: string;
			[normed, residual] = this.#norm(residual, branch, names.inputNorm);
			branch = this.#attention(normed, layer, index);
			[normed, residual] = this.#norm(residual, branch, names.postNorm);
			branch = this.#feedForward(normed, layer);
		}
		return this.graph.node("Add", [residual, branch!])[0]!;
	}

	/** RMS norm of `residual + branch`; returns the norm and that sum. */
	#norm(residual: string, branch: string | undefined, weight: string): [normed: string, sum: string] {
		const { hiddenSize, normEpsilon } = this.config;
		const gain = this.weight(weight, "float32", [hiddenSize], [weight], ([source]) =>
			bytesOf(toFloat32(source!)),
		);
		const attributes = { epsilon: { float: normEpsilon } };
		if (branch === undefined) {
			const [normed] = this.graph.node("SimplifiedLayerNormalization", [residual, gain], {
				attributes: { ...attributes, axis: -1, stash_type: 1 },
			});
			return [normed!, residual];
		}
		const sum = `${weight}.sum`;
		const normed = `${weight}.out`;
		this.graph.node("SkipSimplifiedLayerNormalization", [residual, branch, gain], {
			outputs: [normed, "", "", sum],
			attributes,
			domain: contrib,
		});
		return [normed, sum];
	}

	/** Grouped-query attention over this run's positions and the stream's past, with rotary embedding inside. */
	#attention(input: string, layer: number, index: number): string {
		const { heads, keyValueHeads, headSize, hiddenSize } = this.config;
		const names = layerTensorNames(layer);
		const inputs = this.attentionInputs(input, layer);
		const output = `${names.output}.in`;
		if (this.#format.keyValues === "present") {
			const presents = [graphNames.presentKey(index), graphNames.presentValue(index)] as const;
			const past = [graphNames.pastKey(index), graphNames.pastValue(index)] as const;
			this.#attend(this.graph, inputs, past, graphNames.lengths, [output, ...presents]);
			const shape = ["batch", keyValueHeads, "present", headSize];
			for (const present of presents) this.graph.output(present, "float32", shape);
		} else {
			const outputs = [output, graphNames.newKey(index), graphNames.newValue(index)];
			const branches = { then_branch: true, else_branch: false };
			this.graph.node("If", [graphNames.alone], {
				outputs,
				attributes: Object.fromEntries(
					Object.entries(branches).map(([name, alone]) => [
						name,
						{ graph: this.#attentionBranch(inputs, index, `${layer}.${name}.`, alone) },
					]),
				),
			});
			for (const added of outputs.slice(1)) this.graph.output(added, "float32", ["new", headSize]);
		}
		return this.linear(output, names.output, [names.output], [heads * headSize, hiddenSize]);
	}

	/**
	 * What the positions attend to, and the rows of their keys and values. Kernels for one position and for several add up in another
	 * order. So, where each is to have the bits that it has in a run of its own, what all of them leave in keys and values is copied for
	 * each, and they attend as single positions of as many streams.
	 */
	#attentionBranch(
		inputs: readonly [string, string, string],
		index: number,
		prefix: string,
		alone: boolean,
	): OnnxGraph {
		const { heads, keyValueHeads, headSize } = this.config;
		const graph = new OnnxGraph(prefix);
		const name = (what: string): string => `${prefix}${what}`;
		const past = [graphNames.pastKey(index), graphNames.pastValue(index)] as const;
		const presents = [name("present_key"), name("present_value")] as const;
		const together = [name("together"), ...presents] as const;
		this.#attend(graph, inputs, past, graphNames.lengths, together);
		let attended = together[0];
		if (alone) {
			const [, key] = inputs;
			const widths = key ? [heads, keyValueHeads, keyValueHeads] : [heads + 2 * keyValueHeads, 0, 0];
			const rows = inputs.map((input, i) => {
				if (!input) return "";
				const shape = graph.constant(name(`apart.${i}`), [-1, 1, widths[i]! * headSize]);
				return graph.node("Reshape", [input, shape])[0]!;
			}) as [string, string, string];
			const [count] = graph.node("Shape", [graphNames.aloneLengths]);
			const ones = graph.constant(name("ones"), [1, 1, 1]);
			const [copies] = graph.node("Concat", [count!, ones], { attributes: { axis: 0 } });
			const pasts = presents.map((present) => graph.node("Expand", [present, copies!])[0]!);
			const own = name("own");
			this.#attend(graph, rows, [pasts[0]!, pasts[1]!], graphNames.aloneLengths, [own, name("k"), name("v")]);
			const shape = graph.constant(name("together_again"), [1, -1, heads * headSize]);
			attended = graph.node("Reshape", [own, shape])[0]!;
		}
		graph.output(attended, "float32", ["batch", "sequence", heads * headSize]);
		for (const present of presents) {
			const [rows] = graph.node("Reshape", [present, "row_shape"]);
			const [added] = graph.node("Gather", [rows!, graphNames.newRows], { attributes: { axis: 0 } });
			graph.output(added!, "float32", ["new", headSize]);
		}
		return graph;
	}

	#attend(
		graph: OnnxGraph,
		inputs: readonly [packedOrQuery: string, key: string, value: string],
		past: readonly [key: string, value: string],
		lengths: string,
		outputs: readonly [attended: string, presentKey: string, presentValue: string],
	): void {
		const { heads, keyValueHeads, headSize } = this.config;
		graph.node("GroupQueryAttention", [...inputs, ...past, lengths, graphNames.total, "cosines", "sines"], {
			outputs,
			attributes: {
				num_heads: heads,
				kv_num_heads: keyValueHeads,
				scale: { float: 1 / Math.sqrt(headSize) },
				do_rotary: 1,
				rotary_interleaved: 0,
			},
			domain: contrib,
		});
	}

	/** Query, key and value of this run's positions, before the rotary embedding: in one tensor, or in three. */
	protected attentionInputs(
		input: string,
		layer: number,
	): [packedOrQuery: string, key: string, value: string] {
		const { heads, keyValueHeads, headSize, hiddenSize } = this.config;
		const names = layerTensorNames(layer);
		// One product for all three: GroupQueryAttention takes them packed.
		const packed = this.linear(
			input,
			`model.layers.${layer}.self_attn.qkv_proj.weight`,
			[names.query, names.key, names.value],
			[hiddenSize, (heads + 2 * keyValueHeads) * headSize],
			[this.turned, this.turned, undefined],
		);
		return [packed, "", ""];
	}

	/** Head size where the source has pairs of rotated rows side by side; GroupQueryAttention wants them half a head apart. */
	protected get turned(): number | undefined {
		return this.config.rope.layout === "interleaved" ? this.config.headSize : undefined;
	}

	/** SwiGLU: `down(silu(gate(x)) · up(x))`. */
	#feedForward(input: string, layer: number): string {
		const { hiddenSize, feedForwardSize } = this.config;
		const names = layerTensorNames(layer);
		const gate = this.linear(input, names.gate, [names.gate], [hiddenSize, feedForwardSize]);
		const up = this.linear(input, names.up, [names.up], [hiddenSize, feedForwardSize]);
		const [sigmoid] = this.graph.node("Sigmoid", [gate]);
		const [silu] = this.graph.node("Mul", [gate, sigmoid!]);
		const [product] = this.graph.node("Mul", [silu!, up]);
		return this.linear(product!, names.down, [names.down], [feedForwardSize, hiddenSize]);
	}

	/** Residual stream to logits, for the wanted positions only. */
	#head(hidden: string): void {
		const { hiddenSize, vocabularySize, tiedHead } = this.config;
		const rows = this.graph.input(graphNames.logitRows, "int32", ["rows"]);
		const shape = this.graph.constant("flat_shape", [-1, hiddenSize]);
		const [flat] = this.graph.node("Reshape", [hidden, shape]);
		const [wanted] = this.graph.node("Gather", [flat!, rows], { attributes: { axis: 0 } });
		const [normed] = this.#norm(wanted!, undefined, finalNormName);
		const logits = this.linear(
			normed,
			headName,
			[tiedHead ? embeddingName : headName],
			[hiddenSize, vocabularySize],
			[],
			1,
		);
		this.graph.node("Identity", [logits], { outputs: [graphNames.logits] });
		this.graph.output(graphNames.logits, "float32", ["rows", vocabularySize]);
	}

	/**
	 * `input · Wᵀ`, where W is made of the rows of `sources`, one below the other.
	 *
	 * @param turned - for each source the head size, where its rows have to be brought from interleaved to half rotary layout
	 * @param leading - dimensions of the input before its last
	 */
	protected linear(
		input: string,
		name: string,
		sources: readonly string[],
		[inputs, outputs]: readonly [number, number],
		turned: readonly (number | undefined)[] = [],
		leading = 2,
	): string {
		const { weights } = this.#format;
		// A row that is not a whole number of groups or blocks stays as it is.
		const group = weights === "i8" ? groupOf(inputs) : undefined;
		if (group !== undefined)
			return this.#groupedLinear(input, name, sources, [inputs, outputs], turned, group, leading);
		if (weights !== "f32" && weights !== "i8" && inputs % nBitsBlock === 0)
			return this.#quantisedLinear(input, name, sources, [inputs, outputs], turned);
		// [out, in] as the source has it: nothing is transposed, and often nothing copied.
		const weight = this.weight(name, "float32", [outputs, inputs], sources, (matrices) =>
			bytesOf(stackRows(matrices, turned)),
		);
		return this.graph.node("FusedMatMul", [input, weight], {
			outputs: [`${name}.out`],
			attributes: { transA: 0, transB: 1, alpha: { float: 1 } },
			domain: contrib,
		})[0]!;
	}

	/** MatMulNBits: blocks of 32 weights along a row share a scale. */
	#quantisedLinear(
		input: string,
		name: string,
		sources: readonly string[],
		[inputs, outputs]: readonly [number, number],
		turned: readonly (number | undefined)[],
	): string {
		const bits = this.#format.weights === "q4" ? 4 : 8;
		const blocks = inputs / nBitsBlock;
		// Values and scales come out of one pass: whichever is made first keeps the other's until it is asked for.
		let kept: NBitsWeights | undefined;
		const quantised = (weights: readonly SourceWeight[]): NBitsWeights => {
			const matrix = kept ?? stackQuantisedRows(weights, turned, bits);
			kept = kept ? undefined : matrix;
			return matrix;
		};
		const packed = this.weight(
			`${name}.values`,
			"uint8",
			[outputs, blocks, (nBitsBlock * bits) / 8],
			sources,
			(weights) => quantised(weights).packed,
		);
		const scales = this.weight(`${name}.scales`, "float32", [outputs * blocks], sources, (weights) =>
			bytesOf(quantised(weights).scales),
		);
		return this.graph.node("MatMulNBits", [input, packed, scales], {
			outputs: [`${name}.out`],
			attributes: {
				K: inputs,
				N: outputs,
				bits,
				block_size: nBitsBlock,
				accuracy_level: this.#format.weights === "q8a8" ? 4 : 0,
			},
			domain: contrib,
		})[0]!;
	}

	/** One integer product for each group of inputs, brought together by their scales. */
	#groupedLinear(
		input: string,
		name: string,
		sources: readonly string[],
		[inputs, outputs]: readonly [number, number],
		turned: readonly (number | undefined)[],
		group: number,
		leading: number,
	): string {
		const count = inputs / group;
		const { groups, scales } = this.#quantiseInput(input, inputs, group, leading);
		// All groups come out of one pass, which is kept until the last of them has been asked for.
		let kept: GroupedWeights | undefined;
		let wanted = 2 * count;
		const grouped = (weights: readonly SourceWeight[]): GroupedWeights => {
			const made = kept ?? stackGroupedRows(weights, turned, group);
			kept = --wanted > 0 ? made : undefined;
			return made;
		};
		const [one, zero] = this.#quantisedConstants();
		const products = groups.map((values, i) => {
			const matrix = this.weight(
				`${name}.values.${i}`,
				"int8",
				[group, outputs],
				sources,
				(weights) => grouped(weights).values[i]!,
			);
			const scale = this.weight(`${name}.scales.${i}`, "float32", [outputs], sources, (weights) =>
				bytesOf(grouped(weights).scales[i]!),
			);
			return this.graph.node("MatMulIntegerToFloat", [values, matrix, one, scale, zero], {
				domain: contrib,
			})[0]!;
		});
		const [table] =
			products.length === 1 ? products : this.graph.node("Concat", products, { attributes: { axis: -2 } });
		const [sum] = this.graph.node("MatMul", [scales, table!]);
		const flat = this.graph.constant(`${name}.flat`, [...new Array<number>(leading).fill(0), outputs]);
		return this.graph.node("Reshape", [sum!, flat], { outputs: [`${name}.out`] })[0]!;
	}

	/** A tensor in twice 8 bits, each group of each row by its own largest value; once for all that are multiplied with it. */
	#quantiseInput(input: string, size: number, group: number, leading: number): QuantisedInput {
		const known = this.#quantisedInputs.get(input);
		if (known) return known;
		const count = size / group;
		const same = new Array<number>(leading).fill(0);
		const [, , level, least, middle, steps, step] = this.#quantisedConstants();
		const named = (what: string, values: readonly number[]): string =>
			this.graph.constant(`${input}.${what}`, values);
		const [apart] = this.graph.node("Reshape", [input, named("apart", [...same, count, group])]);
		const [sizes] = this.graph.node("Abs", [apart!]);
		const [largest] = this.graph.node("ReduceMax", [sizes!, named("last", [leading + 1])], {
			attributes: { keepdims: 1 },
		});
		const [exact] = this.graph.node("Mul", [largest!, level]);
		// A group of zeros has a scale, too.
		const [scale] = this.graph.node("Add", [exact!, least]);
		const [divided] = this.graph.node("Div", [apart!, scale!]);
		const [high] = this.graph.node("Round", [divided!]);
		const [rest] = this.graph.node("Sub", [divided!, high!]);
		const [spread] = this.graph.node("Mul", [rest!, steps]);
		const [low] = this.graph.node("Round", [spread!]);
		const row = named("row", [...same, 1, size]);
		const rows = [high!, low!].map((half) => this.graph.node("Reshape", [half, row])[0]!);
		const [both] = this.graph.node("Concat", rows, { attributes: { axis: -2 } });
		const [shifted] = this.graph.node("Add", [both!, middle]);
		const [bytes] = this.graph.node("Cast", [shifted!], { attributes: { to: elementTypes.uint8 } });
		const groups =
			count === 1
				? [bytes!]
				: this.graph.node("Split", [bytes!, named("sizes", new Array<number>(count).fill(group))], {
						outputs: Array.from({ length: count }, (_, i) => `${input}.group.${i}`),
						attributes: { axis: -1 },
					});
		const [lowScale] = this.graph.node("Mul", [scale!, step]);
		const [bothScales] = this.graph.node("Concat", [scale!, lowScale!], { attributes: { axis: -1 } });
		const [scales] = this.graph.node("Reshape", [bothScales!, named("scales", [...same, 1, 2 * count])]);
		const quantised = { groups, scales: scales! };
		this.#quantisedInputs.set(input, quantised);
		return quantised;
	}

	/** No scaling, the zero of the input's bytes, 1/127, the least scale, that zero as a float, low steps in a high one, and one over that. */
	#quantisedConstants(): readonly [string, string, string, string, string, string, string] {
		const float = (name: string, value: number): string =>
			this.weight(name, "float32", [1], [], () => bytesOf(Float32Array.of(value)));
		this.#constants ??= [
			float("one", 1),
			this.weight("zero", "uint8", [1], [], () => Uint8Array.of(128)),
			float("level", 1 / 127),
			float("least", 1e-30),
			float("middle", 128),
			float("steps", lowSteps),
			float("step", 1 / lowSteps),
		];
		return this.#constants;
	}
	#constants: readonly [string, string, string, string, string, string, string] | undefined;

	/** A bias or gain in float32: the values of `sources`, one behind the other. */
	protected vector(
		name: string,
		sources: readonly string[],
		size: number,
		turned: readonly (number | undefined)[] = [],
	): string {
		return this.weight(name, "float32", [size], sources, (vectors) =>
			bytesOf(stackRows(vectors.map(asColumn), turned)),
		);
	}

	protected weight(
		name: string,
		type: ElementType,
		shape: readonly number[],
		sources: readonly string[],
		make: GraphWeight["make"],
	): string {
		const bytes = shape.reduce((product, dimension) => product * dimension, elementBytes[type]);
		this.#weights.push({ name, bytes, sources, make });
		return this.graph.weight(name, type, shape, bytes);
	}
}

/** Biases on query, key and value. */
class Qwen2Span extends LlamaSpan {
	protected override attentionInputs(input: string, layer: number): [string, string, string] {
		const { heads, keyValueHeads, headSize } = this.config;
		const names = layerTensorNames(layer);
		const [packed] = super.attentionInputs(input, layer);
		const bias = this.vector(
			`model.layers.${layer}.self_attn.qkv_proj.bias`,
			[names.queryBias, names.keyBias, names.valueBias],
			(heads + 2 * keyValueHeads) * headSize,
			[this.turned, this.turned, undefined],
		);
		return [this.graph.node("Add", [packed, bias])[0]!, "", ""];
	}
}

/** RMS norms over each head of query and key. They come before the rotary embedding, so the packed product is taken apart. */
class Qwen3Span extends LlamaSpan {
	protected override attentionInputs(input: string, layer: number): [string, string, string] {
		const { heads, keyValueHeads, headSize } = this.config;
		const names = layerTensorNames(layer);
		const [packed] = super.attentionInputs(input, layer);
		const prefix = `model.layers.${layer}.self_attn`;
		const sizes = [heads, keyValueHeads, keyValueHeads].map((count) => count * headSize);
		const [query, key, value] = this.graph.node(
			"Split",
			[packed, this.graph.constant(`${prefix}.sizes`, sizes)],
			{ outputs: ["q", "k", "v"].map((part) => `${prefix}.${part}`), attributes: { axis: -1 } },
		);
		return [
			this.#headNorm(query!, names.queryNorm, heads),
			this.#headNorm(key!, names.keyNorm, keyValueHeads),
			value!,
		];
	}

	#headNorm(input: string, name: string, heads: number): string {
		const { headSize, normEpsilon } = this.config;
		const gain = this.vector(name, [name], headSize, [this.turned]);
		// 0 keeps the dimension that is there.
		const apart = this.graph.constant(`${name}.heads`, [0, 0, heads, headSize]);
		const together = this.graph.constant(`${name}.rows`, [0, 0, heads * headSize]);
		const [split] = this.graph.node("Reshape", [input, apart]);
		const [normed] = this.graph.node("SimplifiedLayerNormalization", [split!, gain], {
			attributes: { epsilon: { float: normEpsilon }, axis: -1, stash_type: 1 },
		});
		return this.graph.node("Reshape", [normed!, together])[0]!;
	}
}

const spans = { llama: LlamaSpan, qwen2: Qwen2Span, qwen3: Qwen3Span } as const;

/** A vector as a matrix of one column. */
function asColumn(vector: SourceWeight): SourceWeight {
	return { ...vector, shape: [vector.shape[0]!, 1] };
}

function bytesOf(array: Float32Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
	return new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
}
