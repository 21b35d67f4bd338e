import { limits, ModelFileError } from "@tabmesh/wire";
import type { SourceFile } from "../format/sourceFile.ts";

/** Number formats of safetensors that stand for weights here. */
export type SafetensorsType = "F32" | "F16" | "BF16";

/** One tensor of a safetensors file. */
export interface SafetensorsTensor {
	readonly name: string;
	readonly type: SafetensorsType;
	/** Row-major. */
	readonly shape: readonly number[];
	/** From the start of the file. */
	readonly offset: number;
	readonly bytes: number;
}

const typeBytes: Readonly<Record<SafetensorsType, number>> = { F32: 4, F16: 2, BF16: 2 };

/** About 120 bytes for each tensor of the largest model that a manifest can describe; safetensors itself allows 100 MB. */
const maxHeaderBytes = 8 * 1024 * 1024;
const lengthBytes = 8;

/**
 * Reads the header of a safetensors file.
 *
 * @throws ModelFileError when it is broken: too long, no JSON, tensors that overlap, leave gaps or run past the end
 * @see https://github.com/huggingface/safetensors `README.md`, Format
 */
export async function readSafetensorsHeader(
	file: SourceFile,
	signal?: AbortSignal,
): Promise<SafetensorsTensor[]> {
	if (file.bytes < lengthBytes) {
		throw new ModelFileError(`${file.name} has ${file.bytes} bytes: too few for a safetensors file.`);
	}
	const prefix = await file.read(0, lengthBytes, signal);
	const length = new DataView(prefix.buffer, prefix.byteOffset).getBigUint64(0, true);
	if (length > BigInt(maxHeaderBytes) || Number(length) > file.bytes - lengthBytes) {
		throw new ModelFileError(
			`${file.name} is no safetensors file, or cut short: it promises a header of ${length} bytes.`,
			{ metaMessages: ["Tabmesh reads .safetensors and .gguf; convert PyTorch .bin files first."] },
		);
	}
	return parseSafetensorsHeader(await file.read(lengthBytes, Number(length), signal), file);
}

/** The tensors that the JSON of a header announces, in the order of their bytes. @throws ModelFileError */
export function parseSafetensorsHeader(
	header: Uint8Array,
	file: { readonly name: string; readonly bytes: number },
): SafetensorsTensor[] {
	const broken = (why: string, cause?: unknown) =>
		new ModelFileError(`${file.name} is broken: ${why}.`, cause === undefined ? {} : { cause });
	let entries: [string, unknown][];
	try {
		const json: unknown = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(header));
		if (!isRecord(json)) throw broken("its header is no JSON object");
		entries = Object.entries(json).filter(([name]) => name !== "__metadata__");
	} catch (cause) {
		if (cause instanceof ModelFileError) throw cause;
		throw broken("its header is no JSON", cause);
	}
	if (entries.length > limits.layers * 32) throw broken(`it promises ${entries.length} tensors`);
	const start = lengthBytes + header.byteLength;
	const tensors = entries.map(([name, entry]) => {
		const tensor = readEntry(name, entry, file.name);
		return { ...tensor, offset: start + tensor.offset };
	});
	tensors.sort((a, b) => a.offset - b.offset || a.bytes - b.bytes);
	let end = start;
	for (const { name, offset, bytes } of tensors) {
		if (offset !== end) {
			throw broken(
				`${quote(name)} ${offset < end ? "overlaps the tensor before it" : "leaves a gap before it"}`,
			);
		}
		end = offset + bytes;
	}
	if (end !== file.bytes) {
		throw new ModelFileError(
			`${file.name} is ${end > file.bytes ? "cut short" : "too long"}: its tensors end at byte ${end}, the file at ${file.bytes}.`,
			{ metaMessages: ["Download it again."], details: { bytes: file.bytes, expectedBytes: end } },
		);
	}
	return tensors;
}

/** A tensor whose offset still counts from the end of the header. */
function readEntry(name: string, entry: unknown, file: string): SafetensorsTensor {
	const broken = (why: string) => new ModelFileError(`${file} is broken: ${quote(name)} ${why}.`);
	if (!isRecord(entry)) throw broken("is no object");
	const { dtype, shape, data_offsets: places } = entry;
	if (typeof dtype !== "string" || !Object.hasOwn(typeBytes, dtype)) {
		throw new ModelFileError(
			`${quote(name)} in ${file} is stored as ${JSON.stringify(dtype)?.slice(0, 16)}, which Tabmesh does not read.`,
			{ metaMessages: [`It reads ${Object.keys(typeBytes).join(", ")}; for quantised models, give a GGUF.`] },
		);
	}
	const type = dtype as SafetensorsType;
	if (!isSizes(shape) || shape.length > 8) throw broken("has no sound shape");
	if (!isSizes(places) || places.length !== 2) throw broken("has no sound data_offsets");
	const [begin, end] = places as [number, number];
	const bytes = shape.reduce((product, size) => product * size, typeBytes[type]);
	if (end - begin !== bytes) {
		throw broken(`has ${end - begin} bytes, where ${shape.join(" × ")} of ${type} are ${bytes}`);
	}
	return { name, type, shape, offset: begin, bytes };
}

function isRecord(value: unknown): value is Record<string, unknown> {
	return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isSizes(value: unknown): value is number[] {
	return Array.isArray(value) && value.every((size) => Number.isSafeInteger(size) && size >= 0);
}

function quote(name: string): string {
	return JSON.stringify(name.length > 64 ? `${name.slice(0, 64)}…` : name);
}
