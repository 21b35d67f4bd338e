import { type ModelSource, memoryFile, type PublishedModel } from "@tabmesh/model";
import type { Origin, Site } from "@tabmesh/wire";
import { type RangedContent, rangeResponse } from "./rangeResponse.ts";

/** A model that this machine hands out. */
export interface ServedModel {
	readonly published: PublishedModel;
	readonly source: ModelSource;
	/** Catalogue id or file name, for people. */
	readonly name: string;
	readonly license?: string;
	/** Its signed gate record. */
	readonly gate?: Uint8Array;
}

/** Routes of one or more models, and how the site names them. */
export interface ModelRoutes {
	/** Path prefix of all of them. */
	readonly prefix: string;
	readonly models: Site["models"];
	handle(request: Request): Response;
}

const prefix = "/models";
const gateName = "gate.cbor";

/**
 * Serves models by byte ranges: `/models/<id>/manifest.cbor`, `/models/<id>/origins.json` and the source's own files.
 * Nothing is repacked: the origin record names the ranges.
 */
export function modelRoutes(served: readonly ServedModel[]): ModelRoutes {
	const contents = new Map<string, RangedContent>();
	for (const { published, source, gate } of served) {
		const folder = `${prefix}/${published.id}`;
		const add = (
			name: string,
			etag: string,
			contentType: string,
			file: Omit<RangedContent, "etag" | "contentType">,
		) =>
			contents.set(`${folder}/${name}`, {
				bytes: file.bytes,
				etag,
				contentType,
				read: (offset, length, signal) => file.read(offset, length, signal),
			});
		// Beside its files, wherever the site is reached from.
		const origins: Origin[] = [{ ...published.origin, baseUrl: "./" }];
		const originsFile = memoryFile("origins.json", new TextEncoder().encode(JSON.stringify(origins)));
		for (const [index, file] of source.files.entries()) {
			const type = file.name.endsWith(".json") ? "application/json" : "application/octet-stream";
			add(file.name, `${published.id}-${index}`, type, file);
		}
		add(
			"manifest.cbor",
			published.id,
			"application/cbor",
			memoryFile("manifest.cbor", published.manifestBytes),
		);
		add("origins.json", `${published.id}-origins`, "application/json", originsFile);
		// Another publisher's record of the same model may say something else.
		if (gate) add(gateName, `${published.id}-${Date.now()}`, "application/cbor", memoryFile(gateName, gate));
	}
	return {
		prefix,
		models: served.map(({ published, name, license, gate }) => ({
			id: published.id,
			name,
			...(license === undefined ? {} : { license }),
			manifest: `${prefix}/${published.id}/manifest.cbor`,
			origins: `${prefix}/${published.id}/origins.json`,
			...(gate === undefined ? {} : { gate: `${prefix}/${published.id}/${gateName}` }),
		})),
		handle(request) {
			const content = contents.get(decodeURI(new URL(request.url).pathname));
			if (!content) return new Response("No such model file.\n", { status: 404 });
			return rangeResponse(request, content);
		},
	};
}
