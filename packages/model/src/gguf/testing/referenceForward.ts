import type { ModelConfig } from "@tabmesh/wire";
import { layerTensorNames } from "../../format/llamaTensors.ts";
import type { ModelSource } from "../../format/modelSource.ts";
import type { WeightType } from "../blockLayout.ts";
import { dequantise } from "../dequantise/dequantise.ts";

/**
 * For tests: the whole model in plain loops and doubles, straight from the papers. It knows nothing of graphs, spans or caches.
 *
 * @returns logits after each token, `[tokens][vocabulary]`
 */
export async function referenceForward(
	source: ModelSource,
	tokens: readonly number[],
): Promise<Float32Array[]> {
	const { config } = source;
	const { hiddenSize, headSize, heads, keyValueHeads, layers, vocabularySize } = config;
	const weight = async (name: string): Promise<Float32Array | undefined> => {
		const tensor = source.tensors.find((candidate) => candidate.name === name);
		if (!tensor) return undefined;
		const out = new Float32Array(tensor.shape.reduce((product, size) => product * size, 1));
		const [[file, offset, length]] = tensor.ranges as [[number, number, number]];
		dequantise(tensor.type as WeightType, await source.files[file]!.read(offset, length), out);
		return out;
	};
	const need = async (name: string) => (await weight(name))!;
	const embedding = await need("model.embed_tokens.weight");
	let hidden = tokens.map((token) =>
		Float64Array.from(embedding.subarray(token * hiddenSize, (token + 1) * hiddenSize)),
	);
	const group = heads / keyValueHeads;
	for (let layer = 0; layer < layers; layer++) {
		const names = layerTensorNames(layer);
		const prefix = `model.layers.${layer}.self_attn`;
		const projected = async (name: "q" | "k" | "v", input: readonly Float64Array[], count: number) => {
			const matrix = await need(`${prefix}.${name}_proj.weight`);
			const bias = await weight(`${prefix}.${name}_proj.bias`);
			const gain = await weight(`${prefix}.${name}_norm.weight`);
			return input.map((row, position) => {
				const out = multiply(matrix, row, bias);
				for (let head = 0; head < count; head++) {
					const part = out.subarray(head * headSize, (head + 1) * headSize);
					if (gain) part.set(norm(part, gain, config.normEpsilon));
					if (name !== "v") rotate(part, position, config);
				}
				return out;
			});
		};
		const inputGain = await need(names.inputNorm);
		const normed = hidden.map((row) => norm(row, inputGain, config.normEpsilon));
		const q = await projected("q", normed, heads);
		const k = await projected("k", normed, keyValueHeads);
		const v = await projected("v", normed, keyValueHeads);
		const output = await need(names.output);
		hidden = hidden.map((row, position) => {
			const mixed = new Float64Array(heads * headSize);
			for (let head = 0; head < heads; head++) {
				const shared = Math.floor(head / group) * headSize;
				const scores = Array.from({ length: position + 1 }, (_, past) => {
					let sum = 0;
					for (let i = 0; i < headSize; i++)
						sum += q[position]![head * headSize + i]! * k[past]![shared + i]!;
					return sum / Math.sqrt(headSize);
				});
				const highest = Math.max(...scores);
				const shares = scores.map((score) => Math.exp(score - highest));
				const total = shares.reduce((sum, share) => sum + share, 0);
				for (const [past, share] of shares.entries()) {
					for (let i = 0; i < headSize; i++)
						mixed[head * headSize + i]! += (share / total) * v[past]![shared + i]!;
				}
			}
			return add(row, multiply(output, mixed));
		});
		const postGain = await need(names.postNorm);
		const [gate, up, down] = [await need(names.gate), await need(names.up), await need(names.down)];
		hidden = hidden.map((row) => {
			const input = norm(row, postGain, config.normEpsilon);
			const opened = multiply(gate, input);
			const raised = multiply(up, input);
			return add(
				row,
				multiply(
					down,
					opened.map((x, i) => (x / (1 + Math.exp(-x))) * raised[i]!),
				),
			);
		});
	}
	const gain = await need("model.norm.weight");
	const head = config.tiedHead ? embedding : await need("lm_head.weight");
	return hidden.map((row) =>
		Float32Array.from(multiply(head, norm(row, gain, config.normEpsilon)).subarray(0, vocabularySize)),
	);
}

function multiply(matrix: Float32Array, row: Float64Array, bias?: Float32Array): Float64Array<ArrayBuffer> {
	return Float64Array.from({ length: matrix.length / row.length }, (_, i) => {
		let sum = bias?.[i] ?? 0;
		for (let j = 0, at = i * row.length; j < row.length; j++, at++) sum += matrix[at]! * row[j]!;
		return sum;
	});
}

function norm(row: Float64Array, gain: Float32Array, epsilon: number): Float64Array<ArrayBuffer> {
	const square = row.reduce((sum, x) => sum + x * x, 0) / row.length;
	return row.map((x, i) => (x / Math.sqrt(square + epsilon)) * gain[i]!);
}

function add(a: Float64Array, b: Float64Array): Float64Array<ArrayBuffer> {
	return a.map((x, i) => x + b[i]!);
}

function rotate(head: Float64Array, position: number, { rope, headSize }: ModelConfig): void {
	for (let i = 0; i < headSize / 2; i++) {
		let frequency = rope.theta ** ((-2 * i) / headSize);
		if (rope.scaling?.type === "linear") frequency /= rope.scaling.factor;
		if (rope.scaling?.type === "llama3") {
			const {
				factor,
				lowFrequencyFactor = 1,
				highFrequencyFactor = 4,
				originalContext = 8192,
			} = rope.scaling;
			const turns = (originalContext * frequency) / (2 * Math.PI);
			const smooth = (turns - lowFrequencyFactor) / (highFrequencyFactor - lowFrequencyFactor);
			const share = Math.min(1, Math.max(0, smooth));
			frequency = frequency * share + (frequency / factor) * (1 - share);
		}
		const [a, b] = rope.layout === "half" ? [i, i + headSize / 2] : [2 * i, 2 * i + 1];
		const [x, y] = [head[a]!, head[b]!];
		const [cos, sin] = [Math.cos(position * frequency), Math.sin(position * frequency)];
		head[a] = x * cos - y * sin;
		head[b] = x * sin + y * cos;
	}
}
