import { InvalidParameterError } from "@tabmesh/wire";
import { blockLimits } from "../blockLimits.ts";
import type { Want } from "../readFile.ts";
import { BlockMissing, type BlockSource } from "./blockSource.ts";

/** A place on the web that has a file's bytes. */
export type HttpOrigin =
	/** The file itself, or a part of another file: leaves are fetched by range; the tree must come from elsewhere. */
	| { kind: "file"; url: string /** Where the file begins. @default 0 */; offset?: number }
	/** A trustless IPFS gateway: every block by its CID. */
	| { kind: "gateway"; url: string }
	/** Parts of other files: `locate` says where bytes `[offset, offset + size)` lie, one part behind the other, or that they do not. */
	| { kind: "parts"; url: string; locate: (offset: number, size: number) => readonly HttpPart[] };

/** Bytes of a file on the web. */
export interface HttpPart {
	readonly url: string;
	readonly offset: number;
	readonly length: number;
}

// What a browser opens to one HTTP/1.1 origin is six; two remain for everything else.
const requestsAtOnce = 4;

/** Blocks from an HTTP origin. They are checked like any peer's. @throws InvalidParameterError where the URL is none */
export function createHttpSource(origin: HttpOrigin): BlockSource {
	const url = parseUrl(origin.url);
	const placed = (want: Want): boolean => want.offset !== undefined && want.size !== undefined;
	const fetchFrom: Record<HttpOrigin["kind"], (want: Want, signal: AbortSignal) => Promise<Uint8Array>> = {
		gateway: (want, signal) => fetchRaw(url, want, signal),
		file: (want, signal) => {
			const begin = origin.kind === "file" ? (origin.offset ?? 0) : 0;
			return fetchRange(url, begin + want.offset!, want.size!, signal);
		},
		parts: (want, signal) =>
			fetchParts(origin.kind === "parts" ? origin.locate(want.offset!, want.size!) : [], signal),
	};
	return {
		// Several sets of parts may lie at one host.
		name: origin.kind === "parts" ? url.href : url.origin,
		maxInFlight: requestsAtOnce,
		offers: (want) => origin.kind === "gateway" || placed(want),
		fetch: fetchFrom[origin.kind],
		// The origin of a URL has no score. The session asks it no more.
		accuse() {},
		close() {},
	};
}

async function fetchParts(parts: readonly HttpPart[], signal: AbortSignal): Promise<Uint8Array> {
	if (parts.length === 0) throw new BlockMissing();
	const [only] = parts;
	if (parts.length === 1) return fetchRange(parseUrl(only!.url), only!.offset, only!.length, signal);
	const bytes = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
	let at = 0;
	for (const { url, offset, length } of parts) {
		const part = await fetchRange(parseUrl(url), offset, length, signal);
		// A short one would leave the next at the wrong place; the hash tells.
		bytes.set(part, at);
		at += part.byteLength;
	}
	return bytes.subarray(0, at);
}

async function fetchRaw(gateway: URL, want: Want, signal: AbortSignal): Promise<Uint8Array> {
	const url = new URL(
		`ipfs/${want.cid}?format=raw`,
		gateway.href.endsWith("/") ? gateway : `${gateway.href}/`,
	);
	const response = await fetch(url, { signal, headers: { accept: "application/vnd.ipld.raw" } });
	if (response.status === 404 || response.status === 410) {
		await response.body?.cancel();
		throw new BlockMissing();
	}
	if (!response.ok) throw await failed(response);
	return readAtMost(response, blockLimits.blockBytes);
}

/** A range request after RFC 9110 §14. */
async function fetchRange(url: URL, start: number, size: number, signal: AbortSignal): Promise<Uint8Array> {
	const response = await fetch(url, { signal, headers: { range: `bytes=${start}-${start + size - 1}` } });
	if (response.status === 404 || response.status === 410) {
		await response.body?.cancel();
		throw new BlockMissing();
	}
	// 200 is the whole file: reading gigabytes for one leaf is worse than having no origin.
	if (response.status !== 206) throw await failed(response);
	return readAtMost(response, size);
}

async function readAtMost(response: Response, most: number): Promise<Uint8Array> {
	const reader = response.body?.getReader();
	const bytes = new Uint8Array(most);
	let filled = 0;
	while (reader) {
		const { done, value } = await reader.read();
		if (done) break;
		if (filled + value.byteLength > most) {
			await reader.cancel();
			throw new Error(`The origin sent more than the ${most} bytes asked for.`);
		}
		bytes.set(value, filled);
		filled += value.byteLength;
	}
	return bytes.subarray(0, filled);
}

async function failed(response: Response): Promise<Error> {
	await response.body?.cancel();
	return new Error(`The origin answered ${response.status}.`);
}

function parseUrl(text: string): URL {
	const url = URL.parse(text);
	if (!url || (url.protocol !== "https:" && url.protocol !== "http:")) {
		throw new InvalidParameterError("An origin needs an http or https URL.", {
			details: { url: text.slice(0, 256) },
		});
	}
	return url;
}
