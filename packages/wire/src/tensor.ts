import * as v from "valibot";
import { InvalidTensorError } from "./errors/index.ts";
import { float32ToHalf, halfToFloat32 } from "./half.ts";
import { limits } from "./limits.ts";

/** Number formats of a tensor on the wire, little-endian. */
export const wireDtypeSchema = v.picklist(["f16", "f32"]);
export type WireDtype = v.InferOutput<typeof wireDtypeSchema>;

/** Bytes of one element. */
export const dtypeBytes: Readonly<Record<WireDtype, number>> = { f16: 2, f32: 4 };

/** What precedes the raw bytes of a tensor: number format and shape `[rows, columns]`. */
export const tensorHeaderSchema = v.strictTuple([
	wireDtypeSchema,
	v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(limits.tensorRows)),
	v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(limits.tensorColumns)),
]);
export type TensorHeader = v.InferOutput<typeof tensorHeaderSchema>;

/** A matrix of hidden states: `rows` positions of `columns` values each, row-major, in float32 off the wire. */
export interface HiddenState {
	readonly rows: number;
	readonly columns: number;
	/** `rows × columns` values. */
	readonly data: Float32Array;
}

/** The header and raw little-endian bytes that carry `hidden` in `dtype`. */
export function encodeTensor(
	hidden: HiddenState,
	dtype: WireDtype,
): { header: TensorHeader; bytes: Uint8Array<ArrayBuffer> } {
	const { rows, columns, data } = hidden;
	const bytes =
		dtype === "f16"
			? float32ToHalf(data)
			: new Uint8Array(data.buffer.slice(data.byteOffset, data.byteOffset + data.byteLength) as ArrayBuffer);
	return { header: [dtype, rows, columns], bytes };
}

/**
 * The hidden states that a peer sent, checked: right length, right number of columns, no NaN, no infinity.
 *
 * @param expectedColumns - the model's hidden size
 * @throws InvalidTensorError when anything of that is not so
 */
export function decodeTensor(header: TensorHeader, bytes: Uint8Array, expectedColumns: number): HiddenState {
	const [dtype, rows, columns] = header;
	if (columns !== expectedColumns) {
		throw new InvalidTensorError(
			`A hidden state has ${columns} columns where the model has ${expectedColumns}.`,
			{
				details: { columns, expectedColumns },
			},
		);
	}
	const expectedBytes = rows * columns * dtypeBytes[dtype];
	if (bytes.byteLength !== expectedBytes) {
		throw new InvalidTensorError(
			`A ${dtype} hidden state of ${rows} × ${columns} has ${bytes.byteLength} bytes instead of ${expectedBytes}.`,
			{ details: { bytes: bytes.byteLength, expectedBytes } },
		);
	}
	const data = dtype === "f16" ? halfToFloat32(bytes) : new Float32Array(bytes.slice().buffer as ArrayBuffer);
	assertFinite(data);
	return { rows, columns, data };
}

/**
 * Makes sure that no value is NaN or infinite.
 *
 * @throws InvalidTensorError naming the first value that is
 */
export function assertFinite(data: Float32Array): void {
	for (let i = 0; i < data.length; i++) {
		if (!Number.isFinite(data[i])) {
			throw new InvalidTensorError(`A hidden state holds ${data[i]} at element ${i}.`, {
				details: { element: i },
			});
		}
	}
}
