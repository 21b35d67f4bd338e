import { blockLayout, type WeightType } from "../blockLayout.ts";
import { ggmlTypeNumber } from "../ggmlTypes.ts";

/** Names of the scalar types of the metadata, with their numbers in the format. */
const scalars = {
	u8: 0,
	i8: 1,
	u16: 2,
	i16: 3,
	u32: 4,
	i32: 5,
	f32: 6,
	bool: 7,
	u64: 10,
	i64: 11,
	f64: 12,
} as const;
type Scalar = keyof typeof scalars;

/** One value to write. */
export type WrittenValue =
	| { readonly string: string }
	| { readonly strings: readonly string[] }
	| { readonly [K in Scalar]?: number | bigint | boolean }
	| { readonly array: Scalar; readonly values: readonly (number | bigint | boolean)[] };

export interface WrittenTensor {
	readonly name: string;
	readonly type: WeightType;
	/** Row-major. */
	readonly shape: readonly number[];
	readonly bytes: Uint8Array;
}

/** For tests: the bytes of a GGUF file, written from the specification and sharing no code with the reader. */
export function writeGguf(
	metadata: Readonly<Record<string, WrittenValue>>,
	tensors: readonly WrittenTensor[],
	options: { version?: number; alignment?: number } = {},
): Uint8Array<ArrayBuffer> {
	const { version = 3, alignment = 32 } = options;
	const out = new Writer();
	out.bytes(new TextEncoder().encode("GGUF"));
	out.scalar("u32", version);
	out.scalar("u64", tensors.length);
	out.scalar("u64", Object.keys(metadata).length);
	for (const [key, value] of Object.entries(metadata)) {
		out.string(key);
		writeValue(out, value);
	}
	let offset = 0;
	for (const { name, type, shape, bytes } of tensors) {
		out.string(name);
		out.scalar("u32", shape.length);
		for (const size of [...shape].reverse()) out.scalar("u64", size);
		out.scalar("u32", ggmlTypeNumber(type));
		out.scalar("u64", offset);
		offset += Math.ceil(bytes.byteLength / alignment) * alignment;
	}
	out.pad(alignment);
	for (const { bytes } of tensors) {
		out.bytes(bytes);
		out.pad(alignment);
	}
	return out.whole();
}

/** How many bytes a tensor of this type and shape has. */
export function writtenBytes(type: WeightType, shape: readonly number[]): number {
	const { blockElements, blockBytes } = blockLayout(type);
	return (shape.reduce((product, size) => product * size, 1) / blockElements) * blockBytes;
}

function writeValue(out: Writer, value: WrittenValue): void {
	if ("string" in value) {
		out.scalar("u32", 8);
		out.string(value.string as string);
	} else if ("strings" in value) {
		const strings = value.strings as readonly string[];
		out.scalar("u32", 9);
		out.scalar("u32", 8);
		out.scalar("u64", strings.length);
		for (const text of strings) out.string(text);
	} else if ("array" in value) {
		const { array, values } = value as { array: Scalar; values: readonly (number | bigint | boolean)[] };
		out.scalar("u32", 9);
		out.scalar("u32", scalars[array]);
		out.scalar("u64", values.length);
		for (const element of values) out.scalar(array, element);
	} else {
		const [[type, scalar]] = Object.entries(value) as [[Scalar, number | bigint | boolean]];
		out.scalar("u32", scalars[type]);
		out.scalar(type, scalar);
	}
}

class Writer {
	readonly #pieces: Uint8Array[] = [];
	#length = 0;

	bytes(piece: Uint8Array): void {
		this.#pieces.push(piece);
		this.#length += piece.byteLength;
	}

	string(text: string): void {
		const bytes = new TextEncoder().encode(text);
		this.scalar("u64", bytes.byteLength);
		this.bytes(bytes);
	}

	pad(alignment: number): void {
		this.bytes(new Uint8Array((alignment - (this.#length % alignment)) % alignment));
	}

	scalar(type: Scalar, value: number | bigint | boolean): void {
		const view = new DataView(new ArrayBuffer(8));
		const number = Number(value);
		let length = 4;
		switch (type) {
			case "u8":
			case "bool":
				view.setUint8(0, number);
				length = 1;
				break;
			case "i8":
				view.setInt8(0, number);
				length = 1;
				break;
			case "u16":
				view.setUint16(0, number, true);
				length = 2;
				break;
			case "i16":
				view.setInt16(0, number, true);
				length = 2;
				break;
			case "u32":
				view.setUint32(0, number, true);
				break;
			case "i32":
				view.setInt32(0, number, true);
				break;
			case "f32":
				view.setFloat32(0, number, true);
				break;
			case "u64":
				view.setBigUint64(0, BigInt(value), true);
				length = 8;
				break;
			case "i64":
				view.setBigInt64(0, BigInt(value), true);
				length = 8;
				break;
			case "f64":
				view.setFloat64(0, number, true);
				length = 8;
				break;
		}
		this.bytes(new Uint8Array(view.buffer, 0, length));
	}

	whole(): Uint8Array<ArrayBuffer> {
		const whole = new Uint8Array(this.#length);
		let at = 0;
		for (const piece of this.#pieces) {
			whole.set(piece, at);
			at += piece.byteLength;
		}
		return whole;
	}
}
