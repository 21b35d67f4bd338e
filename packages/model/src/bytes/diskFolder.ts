import { join } from "node:path";
import { ModelNotFoundError } from "@tabmesh/wire";
import { diskFile } from "../format/diskFile.ts";
import { checkFileName, type SourceFolder } from "./sourceFolder.ts";

/** A folder on this machine. */
export function diskFolder(path: string): SourceFolder {
	return {
		name: path,
		async open(name) {
			try {
				return await diskFile(join(path, checkFileName(name)));
			} catch (error) {
				if (error instanceof ModelNotFoundError) return undefined;
				throw error;
			}
		},
	};
}
