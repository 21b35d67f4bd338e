import { type HiddenState, type Manifest, ModelFileError, type TensorEntry } from "@tabmesh/wire";
import { finalNormName } from "../format/llamaTensors.ts";
import { toFloat32 } from "./weights.ts";

/** The tensor that {@link FinalNorm} is made of. @throws ModelFileError where the model has none */
export function finalNormTensor({ tensors }: Manifest): TensorEntry {
	const entry = tensors.find(({ name }) => name === finalNormName);
	if (!entry) throw new ModelFileError("The model has no norm behind its last layer.");
	return entry;
}

/** The norm behind a model's last layer (RMSNorm, arXiv 1910.07467), for who wants its hidden states and no logits. */
export class FinalNorm {
	readonly #gain: Float32Array;
	readonly #epsilon: number;

	/**
	 * @param bytes - of {@link finalNormTensor}, as the source stores it
	 * @throws ModelFileError when they do not fit the model
	 */
	constructor({ config, ...manifest }: Manifest, bytes: Uint8Array<ArrayBuffer>) {
		const { type, shape } = finalNormTensor({ config, ...manifest });
		this.#gain = toFloat32({ type, shape, bytes });
		this.#epsilon = config.normEpsilon;
		if (this.#gain.length !== config.hiddenSize)
			throw new ModelFileError("The norm behind the last layer has another size than its model.");
	}

	/** One row of a hidden state, normalised. */
	row({ data, columns }: HiddenState, row: number): Float32Array {
		const values = data.subarray(row * columns, (row + 1) * columns);
		let squares = 0;
		for (const value of values) squares += value * value;
		const scale = 1 / Math.sqrt(squares / columns + this.#epsilon);
		return values.map((value, i) => value * scale * this.#gain[i]!);
	}
}
