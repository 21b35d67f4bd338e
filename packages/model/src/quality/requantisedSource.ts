import { embeddingName, headName } from "../format/llamaTensors.ts";
import type { ModelSource, SourceTensor } from "../format/modelSource.ts";
import type { SourceFile } from "../format/sourceFile.ts";
import { tensorBytes } from "../format/tensorBytes.ts";
import { blockLayout } from "../gguf/blockLayout.ts";
import { dequantise } from "../gguf/dequantise/dequantise.ts";
import { readSourceTensor } from "../manifest/publishModel.ts";
import { type BlockFormat, quantise } from "./quantise.ts";

/** Weights rounded at one time: 4 MiB as float32, a multiple of every block. */
const stepElements = 1024 * 1024;

/**
 * The same model with its matrices in blocks of 8 or 4 bits. Norms and biases stay as they are, and so does every tensor whose
 * source takes no more room than the blocks would. Embedding and head never go below 8 bits: every answer begins and ends
 * there, and in small models they are what suffers first.
 *
 * Nothing is read before it is asked for, and whoever reads the same bytes twice gets them rounded twice: no copy of the model
 * is kept.
 */
export function requantisedSource(source: ModelSource, weights: "q8" | "q4"): ModelSource {
	const files: SourceFile[] = [...source.files];
	const tensors = source.tensors.map((tensor): SourceTensor => {
		const atEdge = tensor.name === embeddingName || tensor.name === headName;
		const format: BlockFormat = weights === "q8" || atEdge ? "Q8_0" : "Q4_0";
		const bytes = tensor.shape.length === 2 ? tensorBytes(format, tensor.shape) : undefined;
		const now = tensor.ranges.reduce((sum, [, , length]) => sum + length, 0);
		if (tensor.type === "BLOB" || bytes === undefined || bytes >= now) return tensor;
		files.push(quantisedTensor(source, tensor, format, bytes));
		return { ...tensor, type: format, ranges: [[files.length - 1, 0, bytes]] };
	});
	return { ...source, files, tensors };
}

/** A tensor's blocks as a file of their own. */
function quantisedTensor(
	source: ModelSource,
	tensor: SourceTensor,
	format: BlockFormat,
	bytes: number,
): SourceFile {
	if (tensor.type === "BLOB") throw new TypeError("A file is no tensor.");
	const { type } = tensor;
	const from = blockLayout(type);
	const to = blockLayout(format);
	const elements = tensor.shape.reduce((product, dimension) => product * dimension, 1);
	const stepBytes = (stepElements / to.blockElements) * to.blockBytes;
	const step = async (index: number, signal?: AbortSignal): Promise<Uint8Array<ArrayBuffer>> => {
		const first = index * stepElements;
		const values = new Float32Array(Math.min(stepElements, elements - first));
		const range = {
			offset: (first / from.blockElements) * from.blockBytes,
			length: (values.length / from.blockElements) * from.blockBytes,
		};
		dequantise(type, await readSourceTensor(source, tensor, range, signal), values);
		return quantise(format, values);
	};
	// Readers go forward in pieces smaller than a step.
	let latest: { index: number; content: Promise<Uint8Array<ArrayBuffer>> } | undefined;
	return {
		name: `${tensor.name}.${format}`,
		bytes,
		async read(offset, length, signal) {
			const read = new Uint8Array(length);
			for (let at = offset; at < offset + length; ) {
				const index = Math.floor(at / stepBytes);
				if (latest?.index !== index) latest = { index, content: step(index, signal) };
				const within = at - index * stepBytes;
				const piece = (await latest.content).subarray(within, within + offset + length - at);
				read.set(piece, at - offset);
				at += piece.byteLength;
			}
			return read;
		},
	};
}
