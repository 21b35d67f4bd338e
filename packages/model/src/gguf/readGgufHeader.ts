import { ModelFileError } from "@tabmesh/wire";
import type { SourceFile } from "../format/sourceFile.ts";
import { type GgufHeader, parseGgufHeader } from "./ggufHeader.ts";

/** Most headers with a vocabulary of 32,000 have 1.7 MB: two reads. */
const firstWindow = 1024 * 1024;
/** A vocabulary of 262,144 and its merges take 20 MB. */
const maxHeaderBytes = 128 * 1024 * 1024;

/**
 * Reads the header of a GGUF file in growing pieces, each byte once.
 *
 * @throws ModelFileError when it is no sound GGUF file, and what reading throws
 */
export async function readGgufHeader(file: SourceFile, signal?: AbortSignal): Promise<GgufHeader> {
	let window = new Uint8Array(0);
	for (let size = firstWindow; ; size *= 4) {
		const length = Math.min(size, file.bytes, maxHeaderBytes);
		const more = await file.read(window.byteLength, length - window.byteLength, signal);
		const larger = new Uint8Array(length);
		larger.set(window);
		larger.set(more, window.byteLength);
		window = larger;
		const header = parseGgufHeader(window, file);
		if (header) return header;
		if (length === maxHeaderBytes) {
			throw new ModelFileError(`${file.name} has a header of more than ${maxHeaderBytes} bytes.`);
		}
	}
}
