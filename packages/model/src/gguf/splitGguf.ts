import { ModelFileError } from "@tabmesh/wire";
import type { SourceFile } from "../format/sourceFile.ts";
import type { GgufHeader, GgufTensor } from "./ggufHeader.ts";
import { GgufMetadata } from "./ggufMetadata.ts";
import { readGgufHeader } from "./readGgufHeader.ts";

/** More than any split in use; each part is a file kept open. */
const maxParts = 1000;

/** The parts of one model in order, with the metadata of the first. */
export interface GgufParts {
	readonly files: readonly SourceFile[];
	readonly headers: readonly GgufHeader[];
	readonly metadata: GgufMetadata;
	/** Each with the index of the file that it lies in. */
	readonly tensors: readonly (GgufTensor & { readonly file: number })[];
}

/**
 * The names of all parts of a model of which `name` is one: `x-00002-of-00003.gguf` gives three names, any other name only itself.
 *
 * @throws ModelFileError when the numbers in it make no sense
 */
export function ggufPartNames(name: string): string[] {
	const match = /^(.*)-(\d{5})-of-(\d{5})\.gguf$/.exec(name);
	if (!match) return [name];
	const [, stem, part, count] = match as unknown as [string, string, string, string];
	if (Number(part) < 1 || Number(part) > Number(count) || Number(count) > maxParts) {
		throw new ModelFileError(`${name} calls itself part ${Number(part)} of ${Number(count)}.`);
	}
	return Array.from(
		{ length: Number(count) },
		(_, i) => `${stem}-${String(i + 1).padStart(5, "0")}-of-${count}.gguf`,
	);
}

/**
 * Reads the headers of all parts of a model, in whatever order they come, and checks that they belong together.
 *
 * @throws ModelFileError when a part is broken, missing, given twice, or of another model
 */
export async function readGgufParts(given: readonly SourceFile[], signal?: AbortSignal): Promise<GgufParts> {
	const parts: { file: SourceFile; header: GgufHeader; metadata: GgufMetadata }[] = [];
	for (const file of given) {
		const header = await readGgufHeader(file, signal);
		parts.push({ file, header, metadata: new GgufMetadata(file.name, header.metadata) });
	}
	const numberOf = ({ metadata }: (typeof parts)[number]): number => metadata.optionalNumber("split.no") ?? 0;
	parts.sort((a, b) => numberOf(a) - numberOf(b));
	const [first] = parts;
	if (!first) throw new ModelFileError("There is no file to read a model from.");
	const count = first.metadata.optionalNumber("split.count") || 1;
	for (const [index, part] of parts.entries()) {
		const theirs = part.metadata.optionalNumber("split.count") || 1;
		if (theirs !== count) {
			throw new ModelFileError(
				`${part.file.name} is one part of ${theirs} and ${first.file.name} one of ${count}: they are not of one model.`,
			);
		}
		if (numberOf(part) !== index || parts.length > count) {
			throw new ModelFileError(
				`${part.file.name} is part ${numberOf(part) + 1} of ${count}, where part ${index + 1} was expected.`,
				{ metaMessages: ["Give every part of the model, each once."] },
			);
		}
	}
	if (parts.length < count) {
		throw new ModelFileError(
			`${first.file.name} is one of ${count} parts, and only ${parts.length} were given.`,
			{
				metaMessages: ["Give every part of the model; their names end in -00001-of-0000N.gguf."],
			},
		);
	}
	const tensors = parts.flatMap(({ header }, file) => header.tensors.map((tensor) => ({ ...tensor, file })));
	const promised = first.metadata.optionalNumber("split.tensors.count");
	if (promised !== undefined && promised !== tensors.length) {
		throw new ModelFileError(
			`The parts of ${first.file.name} hold ${tensors.length} tensors and promise ${promised}.`,
		);
	}
	return {
		files: parts.map(({ file }) => file),
		headers: parts.map(({ header }) => header),
		metadata: first.metadata,
		tensors,
	};
}
