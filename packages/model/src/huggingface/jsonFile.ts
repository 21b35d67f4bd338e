import { ModelFileError } from "@tabmesh/wire";
import type { SourceFile } from "../format/sourceFile.ts";

/**
 * The JSON object in a small file.
 *
 * @throws ModelFileError when it is longer than `maxBytes`, no UTF-8, no JSON, or no object
 */
export async function readJsonFile(
	file: SourceFile,
	maxBytes: number,
	signal?: AbortSignal,
): Promise<Record<string, unknown>> {
	if (file.bytes > maxBytes)
		throw new ModelFileError(`${file.name} has ${file.bytes} bytes, more than ${maxBytes}.`);
	const bytes = await file.read(0, file.bytes, signal);
	let json: unknown;
	try {
		json = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
	} catch (cause) {
		throw new ModelFileError(`${file.name} is no JSON.`, { cause });
	}
	if (typeof json === "object" && json !== null && !Array.isArray(json))
		return json as Record<string, unknown>;
	throw new ModelFileError(`${file.name} holds no JSON object.`);
}
