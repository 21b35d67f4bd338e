import { ModelFileError, ModelSourceError } from "@tabmesh/wire";
import type { SourceFile } from "../format/sourceFile.ts";
import { blobFile } from "./blobFile.ts";
import { type HttpFileOptions, openHttpFile } from "./httpFile.ts";

/** Where the files of one model lie side by side: a folder on disk, a URL, or files that a person picked. */
export interface SourceFolder {
	/** For errors. */
	readonly name: string;
	/** The file of this name, or `undefined` when there is none. */
	open(name: string, signal?: AbortSignal): Promise<SourceFile | undefined>;
}

/**
 * The files under a URL: `https://hub/owner/model/resolve/main/`, or any folder of a file server.
 *
 * @param options - for every file; see {@link openHttpFile}
 */
export function httpFolder(baseUrl: string | URL, options: HttpFileOptions = {}): SourceFolder {
	const base = URL.parse(String(baseUrl));
	if (!base) throw new ModelSourceError(`${String(baseUrl).slice(0, 128)} is no HTTP address.`);
	if (!base.pathname.endsWith("/")) base.pathname += "/";
	return {
		name: `${base.origin}${base.pathname}`,
		async open(name, signal) {
			const url = new URL(checkFileName(name), base);
			// Signed folders carry their signature behind every file.
			url.search = base.search;
			try {
				return await openHttpFile(url, { ...options, ...(signal ? { signal } : {}) });
			} catch (error) {
				if (error instanceof ModelSourceError && error.details.status === 404) return undefined;
				throw error;
			}
		},
	};
}

/** Files that a person picked or dropped, by their names. */
export function blobFolder(files: readonly File[], name = "the picked files"): SourceFolder {
	const byName = new Map(files.map((file) => [file.name, file]));
	return {
		name,
		async open(wanted) {
			const file = byName.get(checkFileName(wanted));
			return file && blobFile(file);
		},
	};
}

/**
 * A name that stays inside its folder: names come out of index files that strangers wrote.
 *
 * @throws ModelFileError for a path, a URL or nothing
 */
export function checkFileName(name: string): string {
	if (/^[A-Za-z0-9_][A-Za-z0-9_.+=@ -]{0,254}$/.test(name)) return name;
	throw new ModelFileError(`${JSON.stringify(name.slice(0, 64))} is no name of a file beside the others.`);
}
