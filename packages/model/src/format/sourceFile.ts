/** A file that a model is read from, wherever it lies: bytes by range, so that no file has to fit into memory. */
export interface SourceFile {
	/** Its name as origins list it, without a path. */
	readonly name: string;
	readonly bytes: number;
	/** Exactly `length` bytes from `offset`. */
	read(offset: number, length: number, signal?: AbortSignal): Promise<Uint8Array<ArrayBuffer>>;
}

/** A file whose bytes are in memory already. */
export function memoryFile(name: string, content: Uint8Array): SourceFile {
	return {
		name,
		bytes: content.byteLength,
		read: async (offset, length) => content.slice(offset, offset + length) as Uint8Array<ArrayBuffer>,
	};
}
