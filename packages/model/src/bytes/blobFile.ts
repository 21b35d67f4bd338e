import { ModelFileError } from "@tabmesh/wire";
import type { SourceFile } from "../format/sourceFile.ts";

/**
 * A file that a person picked in a browser (or any Blob): read in pieces, never whole.
 *
 * @param name - needed for a Blob that is no File
 */
export function blobFile(blob: Blob, name = blob instanceof File ? blob.name : "model"): SourceFile {
	return {
		name,
		bytes: blob.size,
		async read(offset, length, signal) {
			signal?.throwIfAborted();
			let bytes: Uint8Array<ArrayBuffer>;
			try {
				bytes = new Uint8Array(await blob.slice(offset, offset + length).arrayBuffer());
			} catch (cause) {
				// A browser refuses to read a picked file that was changed or removed since.
				throw new ModelFileError(`${name} can no longer be read.`, {
					cause,
					metaMessages: ["It was changed, moved or removed since it was picked: pick it again."],
				});
			}
			if (bytes.byteLength !== length)
				throw new ModelFileError(`${name} ends before byte ${offset + length}.`);
			return bytes;
		},
	};
}
