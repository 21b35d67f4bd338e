import { createEnvelopeVerifier } from "@tabmesh/dauth";
import { type ModelRef, offeredFormats, openManifest, piecesOf, type WeightFormat } from "@tabmesh/model";
import {
	decodeCbor,
	type Gate,
	gateSchema,
	limits,
	type Manifest,
	ModelSourceError,
	type Origin,
	originSchema,
	type Site,
} from "@tabmesh/wire";
import * as v from "valibot";

/** A model that the network offers: what it is, and where its bytes can be had from. */
export interface NetworkModel extends ModelRef {
	readonly name: string;
	readonly license: string | undefined;
	/** With base URLs made absolute. */
	readonly origins: readonly Origin[];
	/** Bytes of the weights as they are fetched. */
	readonly sourceBytes: number;
	/** Bytes of the weights in float32. */
	readonly loadedBytes: number;
	/** Weight formats that lenders may run it in. */
	readonly formats: readonly WeightFormat[];
}

const originsSchema = v.pipe(v.array(originSchema), v.maxLength(16));

/**
 * Fetches a model's manifest, checks it against its id, and its origins.
 *
 * @throws ModelSourceError when they cannot be fetched, MalformedMessageError or ModelFileError when they are not what they should be
 */
export async function fetchNetworkModel(
	relay: string,
	listed: Site["models"][number],
	signal?: AbortSignal,
): Promise<NetworkModel> {
	const [manifestBytes, originBytes, gate] = await Promise.all([
		fetchBytes(new URL(listed.manifest, relay), limits.manifestBytes, signal),
		fetchBytes(new URL(listed.origins, relay), limits.manifestBytes, signal),
		fetchGate(relay, listed, signal),
	]);
	const { id, manifest } = await openManifest(manifestBytes, listed.id);
	const originsUrl = new URL(listed.origins, relay);
	const parsed = v.safeParse(originsSchema, jsonOf(originBytes));
	const origins = (parsed.success ? parsed.output : [])
		.filter((origin) => origin.model === id)
		.map((origin) => ({ ...origin, baseUrl: new URL(origin.baseUrl, originsUrl).href }));
	const formats = offeredFormats(manifest, gate);
	return {
		id,
		manifest,
		origins,
		name: listed.name,
		license: listed.license,
		formats,
		...weightBytes(manifest),
	};
}

/**
 * The gate record of a model, if the site has one that its author signed for this model. Without it the model runs all the same,
 * in the formats that need no proof: a record that cannot be had or read is no error.
 */
async function fetchGate(
	relay: string,
	{ id, gate }: Site["models"][number],
	signal?: AbortSignal,
): Promise<Gate | undefined> {
	if (gate === undefined) return undefined;
	try {
		const bytes = await fetchBytes(new URL(gate, relay), limits.envelopeBytes, signal);
		const verifier = createEnvelopeVerifier({ maxAgeMs: Number.POSITIVE_INFINITY });
		const { payload } = await verifier.open(bytes, "gate");
		const record = decodeCbor(gateSchema, payload, limits.gateBytes);
		return record.model === id ? record : undefined;
	} catch {
		signal?.throwIfAborted();
		return undefined;
	}
}

function jsonOf(bytes: Uint8Array): unknown {
	try {
		return JSON.parse(new TextDecoder().decode(bytes));
	} catch {
		return undefined;
	}
}

async function fetchBytes(
	url: URL,
	maxBytes: number,
	signal?: AbortSignal,
): Promise<Uint8Array<ArrayBuffer>> {
	let response: Response;
	try {
		response = await fetch(url, signal ? { signal } : {});
	} catch (cause) {
		signal?.throwIfAborted();
		throw new ModelSourceError(`The model's description at ${url.href} cannot be reached.`, { cause });
	}
	if (!response.ok) {
		throw new ModelSourceError(`The model's description at ${url.href} is answered with ${response.status}.`);
	}
	const pieces: Uint8Array[] = [];
	let length = 0;
	for await (const piece of piecesOf(response)) {
		length += piece.byteLength;
		if (length > maxBytes)
			throw new ModelSourceError(`The model's description at ${url.href} is too long to be one.`);
		pieces.push(piece);
	}
	const bytes = new Uint8Array(length);
	let at = 0;
	for (const piece of pieces) {
		bytes.set(piece, at);
		at += piece.byteLength;
	}
	return bytes;
}

function weightBytes(manifest: Manifest): { sourceBytes: number; loadedBytes: number } {
	let sourceBytes = 0;
	let loadedBytes = 0;
	for (const tensor of manifest.tensors) {
		if (tensor.type === "BLOB") continue;
		sourceBytes += tensor.bytes;
		loadedBytes += tensor.shape.reduce((product, dimension) => product * dimension, 4);
	}
	return { sourceBytes, loadedBytes };
}
