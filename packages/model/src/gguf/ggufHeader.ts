import { limits, ModelFileError } from "@tabmesh/wire";
import { blockLayout, type WeightType, weightTypes } from "./blockLayout.ts";
import { ggmlTypeName } from "./ggmlTypes.ts";

/** An array in the metadata: strings, or numbers in the narrowest typed array that holds them (booleans as bytes). */
export type GgufArray =
	| readonly string[]
	| Uint8Array
	| Int8Array
	| Uint16Array
	| Int16Array
	| Uint32Array
	| Int32Array
	| Float32Array
	| Float64Array
	| BigUint64Array
	| BigInt64Array;

/** One value of the metadata. 64-bit integers are numbers where that is exact, else bigints. */
export type GgufValue = number | bigint | boolean | string | GgufArray;

/** One tensor as the header announces it. */
export interface GgufTensor {
	readonly name: string;
	readonly type: WeightType;
	/** Row-major: the file lists the fastest dimension first, this the slowest. */
	readonly shape: readonly number[];
	/** From the start of the file. */
	readonly offset: number;
	readonly bytes: number;
}

/** Everything of a GGUF file but its weights. */
export interface GgufHeader {
	readonly version: number;
	readonly metadata: ReadonlyMap<string, GgufValue>;
	readonly tensors: readonly GgufTensor[];
	/** Where the weights begin. */
	readonly dataOffset: number;
}

/** Real files have fewer than a hundred; each is at least 13 bytes and a Map entry here. */
const maxMetadata = 4096;
/** The format allows 65,535 bytes; no real key has more than 64. */
const maxKeyBytes = 1024;
/** ggml allows 64. */
const maxTensorNameBytes = 256;
/** A chat template or a licence text has tens of kilobytes. */
const maxStringBytes = 4 * 1024 * 1024;
/** Llama 3 has 280,147 merges. */
const maxStrings = 4 * 1024 * 1024;
/** ggml's GGML_MAX_DIMS. */
const maxDimensions = 4;
const defaultAlignment = 32;
const maxAlignment = 65_536;

/** Bytes of each scalar of the metadata by its type number; 8 is a string and 9 an array. */
const scalarBytes: Readonly<Record<number, number>> = {
	0: 1,
	1: 1,
	2: 2,
	3: 2,
	4: 4,
	5: 4,
	6: 4,
	7: 1,
	10: 8,
	11: 8,
	12: 8,
};
const stringType = 8;
const arrayType = 9;

/** Thrown inside this file only: the header goes on behind the bytes that are here. */
const windowEnded = Symbol("windowEnded");

/**
 * Parses the header of a GGUF file, version 2 or 3, little-endian.
 *
 * Everything in it is checked before anything of its size is allocated: counts against what the file can hold, tensors against
 * each other and against the end of the file.
 *
 * @param window - the first bytes of the file
 * @param file - its name for errors, and its length
 * @returns `undefined` when the header goes on behind the window
 * @throws ModelFileError saying what was found where
 * @see https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
 */
export function parseGgufHeader(
	window: Uint8Array,
	file: { readonly name: string; readonly bytes: number },
): GgufHeader | undefined {
	try {
		return new HeaderReader(window, file).read();
	} catch (error) {
		if (error === windowEnded) return undefined;
		throw error;
	}
}

class HeaderReader {
	readonly #bytes: Uint8Array;
	readonly #view: DataView;
	readonly #file: { readonly name: string; readonly bytes: number };
	readonly #text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
	#at = 0;

	constructor(window: Uint8Array, file: { readonly name: string; readonly bytes: number }) {
		this.#bytes = window;
		this.#view = new DataView(window.buffer, window.byteOffset, window.byteLength);
		this.#file = file;
	}

	read(): GgufHeader {
		const version = this.#readVersion();
		const tensorCount = this.#count("tensors", 24, limits.layers * 32);
		const metadataCount = this.#count("metadata entries", 13, maxMetadata);
		const metadata = new Map<string, GgufValue>();
		for (let i = 0; i < metadataCount; i++) {
			const key = this.#string("the key of a metadata entry", maxKeyBytes);
			if (metadata.has(key)) throw this.#broken(`the metadata has ${quote(key)} twice`);
			metadata.set(key, this.#value(key, this.#uint32()));
		}
		const alignment = this.#alignment(metadata);
		const announced = Array.from({ length: tensorCount }, () => this.#tensor());
		const dataOffset = Math.ceil(this.#at / alignment) * alignment;
		const tensors = announced.map((tensor) => ({ ...tensor, offset: dataOffset + tensor.offset }));
		this.#checkPlaces(tensors, dataOffset, alignment);
		return { version, metadata, tensors, dataOffset };
	}

	#readVersion(): number {
		this.#need(8, "the header");
		const magic = this.#view.getUint32(0, false);
		const version = this.#view.getUint32(4, true);
		this.#at = 8;
		if (magic !== 0x47475546) {
			const found = Array.from(this.#bytes.subarray(0, 4), (byte) =>
				byte >= 32 && byte < 127 ? String.fromCharCode(byte) : `\\x${byte.toString(16).padStart(2, "0")}`,
			).join("");
			throw new ModelFileError(
				`${this.#file.name} is no GGUF file: it begins with "${found}" instead of "GGUF".`,
			);
		}
		if (version === 2 || version === 3) return version;
		const why = version === 0x02000000 || version === 0x03000000 ? "big-endian" : `of version ${version}`;
		throw new ModelFileError(
			`${this.#file.name} is a GGUF file ${why}; Tabmesh reads versions 2 and 3, little-endian.`,
			{
				metaMessages: ["Convert it with a current llama.cpp."],
				details: { version },
			},
		);
	}

	#value(key: string, type: number): GgufValue {
		if (type === stringType) return this.#string(quote(key), maxStringBytes);
		if (type === arrayType) return this.#array(key);
		const bytes = scalarBytes[type];
		if (bytes === undefined) throw this.#broken(`${quote(key)} has the unknown value type ${type}`);
		this.#need(bytes, quote(key));
		const at = this.#at;
		this.#at += bytes;
		const view = this.#view;
		switch (type) {
			case 0:
				return view.getUint8(at);
			case 1:
				return view.getInt8(at);
			case 2:
				return view.getUint16(at, true);
			case 3:
				return view.getInt16(at, true);
			case 4:
				return view.getUint32(at, true);
			case 5:
				return view.getInt32(at, true);
			case 6:
				return view.getFloat32(at, true);
			case 7: {
				const byte = view.getUint8(at);
				if (byte > 1) throw this.#broken(`${quote(key)} is a boolean with the value ${byte}`);
				return byte === 1;
			}
			case 10:
				return exactNumber(view.getBigUint64(at, true));
			case 11:
				return exactNumber(view.getBigInt64(at, true));
			default:
				return view.getFloat64(at, true);
		}
	}

	#array(key: string): GgufArray {
		const type = this.#uint32();
		if (type === stringType) {
			const count = this.#count(`strings in ${quote(key)}`, 8, maxStrings);
			const strings: string[] = [];
			for (let i = 0; i < count; i++)
				strings.push(this.#string(`string ${i} of ${quote(key)}`, maxStringBytes));
			return strings;
		}
		const bytes = scalarBytes[type];
		if (bytes === undefined) {
			throw this.#broken(
				type === arrayType
					? `${quote(key)} is an array of arrays`
					: `${quote(key)} is an array of the unknown type ${type}`,
			);
		}
		const count = this.#count(`elements of ${quote(key)}`, bytes, Number.MAX_SAFE_INTEGER);
		this.#need(count * bytes, quote(key));
		// A copy, which is aligned, and does not keep the whole window alive.
		const { buffer } = this.#bytes.slice(this.#at, this.#at + count * bytes);
		this.#at += count * bytes;
		switch (type) {
			case 1:
				return new Int8Array(buffer);
			case 2:
				return new Uint16Array(buffer);
			case 3:
				return new Int16Array(buffer);
			case 4:
				return new Uint32Array(buffer);
			case 5:
				return new Int32Array(buffer);
			case 6:
				return new Float32Array(buffer);
			case 10:
				return new BigUint64Array(buffer);
			case 11:
				return new BigInt64Array(buffer);
			case 12:
				return new Float64Array(buffer);
			default:
				return new Uint8Array(buffer);
		}
	}

	/** A tensor whose offset still counts from the start of the weights. */
	#tensor(): GgufTensor {
		const name = this.#string("the name of a tensor", maxTensorNameBytes);
		const dimensions = this.#uint32();
		if (dimensions < 1 || dimensions > maxDimensions) {
			throw this.#broken(`${quote(name)} has ${dimensions} dimensions`);
		}
		const shape: number[] = [];
		for (let i = 0; i < dimensions; i++) shape.unshift(this.#size(`a dimension of ${quote(name)}`));
		const type = this.#weightType(name);
		const offset = this.#size(`the offset of ${quote(name)}`);
		const { blockElements, blockBytes } = blockLayout(type);
		if (shape.at(-1)! % blockElements !== 0) {
			throw this.#broken(
				`a row of ${quote(name)} has ${shape.at(-1)} weights, which are no whole blocks of ${type}`,
			);
		}
		let elements = 1;
		for (const dimension of shape) {
			if (dimension < 1) throw this.#broken(`${quote(name)} has a dimension of ${dimension}`);
			elements *= dimension;
			if (!Number.isSafeInteger(elements))
				throw this.#broken(`${quote(name)} has the absurd shape ${shape.join(" × ")}`);
		}
		const bytes = (elements / blockElements) * blockBytes;
		if (!Number.isSafeInteger(bytes + offset)) {
			throw this.#broken(`${quote(name)} has the absurd shape ${shape.join(" × ")} at offset ${offset}`);
		}
		return { name, type, shape, offset, bytes };
	}

	#weightType(tensor: string): WeightType {
		const number = this.#uint32();
		const name = ggmlTypeName(number);
		if (name !== undefined && (weightTypes as readonly string[]).includes(name)) return name as WeightType;
		throw new ModelFileError(
			`${quote(tensor)} in ${this.#file.name} is stored in ${name ?? "an unknown type"} (number ${number}), which Tabmesh does not read.`,
			{ metaMessages: [`It reads ${weightTypes.join(", ")}.`], details: { type: number } },
		);
	}

	#alignment(metadata: ReadonlyMap<string, GgufValue>): number {
		const alignment = metadata.get("general.alignment") ?? defaultAlignment;
		// A power of two, as ggml has it.
		if (
			typeof alignment === "number" &&
			alignment >= 1 &&
			alignment <= maxAlignment &&
			Number.isInteger(Math.log2(alignment))
		) {
			return alignment;
		}
		throw this.#broken(`its alignment is ${String(alignment).slice(0, 32)}`);
	}

	/** That no tensor starts off the grid, runs past the end, or shares bytes or a name with another. */
	#checkPlaces(tensors: readonly GgufTensor[], dataOffset: number, alignment: number): void {
		const names = new Set<string>();
		let end = dataOffset;
		let before = "";
		for (const { name, offset, bytes } of [...tensors].sort((a, b) => a.offset - b.offset)) {
			if (names.has(name)) throw this.#broken(`it has the tensor ${quote(name)} twice`);
			names.add(name);
			if ((offset - dataOffset) % alignment !== 0) {
				throw this.#broken(
					`${quote(name)} begins at ${offset - dataOffset}, which is no multiple of ${alignment}`,
				);
			}
			if (offset < end) throw this.#broken(`${quote(name)} and ${quote(before)} lie in the same bytes`);
			if (offset + bytes > this.#file.bytes) {
				throw new ModelFileError(
					`${this.#file.name} is cut short: ${quote(name)} would end at byte ${offset + bytes}, the file ends at ${this.#file.bytes}.`,
					{
						metaMessages: ["Download it again."],
						details: { bytes: this.#file.bytes, expectedBytes: offset + bytes },
					},
				);
			}
			end = offset + bytes;
			before = name;
		}
	}

	#string(what: string, most: number): string {
		const length = this.#size(`the length of ${what}`);
		if (length > most) throw this.#broken(`${what} has a length of ${length} bytes, more than ${most}`);
		this.#need(length, what);
		const bytes = this.#bytes.subarray(this.#at, this.#at + length);
		this.#at += length;
		try {
			return this.#text.decode(bytes);
		} catch (cause) {
			throw new ModelFileError(`${this.#file.name} is broken: ${what} is not UTF-8.`, { cause });
		}
	}

	/** A number of things that take at least `leastBytes` each: what cannot lie in the rest of the file is refused unread. */
	#count(what: string, leastBytes: number, most: number): number {
		const count = this.#size(`the number of ${what}`);
		if (count > most || count * leastBytes > this.#file.bytes - this.#at) {
			throw this.#broken(`it promises ${count} ${what}`);
		}
		return count;
	}

	#size(what: string): number {
		this.#need(8, what);
		const size = this.#view.getBigUint64(this.#at, true);
		this.#at += 8;
		if (size > BigInt(Number.MAX_SAFE_INTEGER)) throw this.#broken(`${what} is ${size}`);
		return Number(size);
	}

	#uint32(): number {
		this.#need(4, "the header");
		const value = this.#view.getUint32(this.#at, true);
		this.#at += 4;
		return value;
	}

	#need(length: number, what: string): void {
		if (this.#at + length <= this.#bytes.byteLength) return;
		if (this.#at + length <= this.#file.bytes) throw windowEnded;
		throw new ModelFileError(
			`${this.#file.name} is cut short: it ends at byte ${this.#file.bytes}, inside ${what}.`,
			{
				metaMessages: ["Download it again."],
				details: { bytes: this.#file.bytes },
			},
		);
	}

	#broken(why: string): ModelFileError {
		return new ModelFileError(`${this.#file.name} is broken: ${why}.`, { details: { at: this.#at } });
	}
}

function exactNumber(value: bigint): number | bigint {
	const number = Number(value);
	return Number.isSafeInteger(number) ? number : value;
}

/** Names come from strangers: shortened for errors. */
function quote(name: string): string {
	return JSON.stringify(name.length > 64 ? `${name.slice(0, 64)}…` : name);
}
