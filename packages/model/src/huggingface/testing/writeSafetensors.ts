import type { SafetensorsType } from "../safetensorsHeader.ts";

export interface WrittenTensor {
	readonly name: string;
	readonly shape: readonly number[];
	readonly values: Float32Array;
}

/** For tests: the bytes of a safetensors file, written from the specification and sharing no code with the reader. */
export function writeSafetensors(
	tensors: readonly WrittenTensor[],
	type: SafetensorsType,
): Uint8Array<ArrayBuffer> {
	const header: Record<string, unknown> = { __metadata__: { format: "pt" } };
	const contents = tensors.map(({ values }) => stored(values, type));
	let at = 0;
	for (const [i, { name, shape }] of tensors.entries()) {
		header[name] = { dtype: type, shape, data_offsets: [at, at + contents[i]!.byteLength] };
		at += contents[i]!.byteLength;
	}
	return withHeader(JSON.stringify(header), contents);
}

/** Any text in the place of the header. */
export function withHeader(json: string, contents: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
	const text = new TextEncoder().encode(json);
	const whole = new Uint8Array(contents.reduce((sum, part) => sum + part.byteLength, 8 + text.byteLength));
	new DataView(whole.buffer).setBigUint64(0, BigInt(text.byteLength), true);
	whole.set(text, 8);
	let at = 8 + text.byteLength;
	for (const part of contents) {
		whole.set(part, at);
		at += part.byteLength;
	}
	return whole;
}

function stored(values: Float32Array, type: SafetensorsType): Uint8Array {
	const copy = Float32Array.from(values);
	if (type === "F32") return new Uint8Array(copy.buffer);
	if (type === "F16") return new Uint8Array(new Float16Array(copy).buffer);
	return new Uint8Array(Uint16Array.from(new Uint32Array(copy.buffer), (word) => word >>> 16).buffer);
}
