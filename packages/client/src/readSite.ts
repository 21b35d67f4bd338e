import {
	InsecureOriginError,
	MalformedMessageError,
	PeerUnreachableError,
	type Site,
	siteSchema,
} from "@tabmesh/wire";
import * as v from "valibot";

/** A site's description is a few hundred bytes; anything much longer is not one. */
const longestDescription = 256 * 1024;
/** A relay answers this from memory. */
const patienceMs = 10_000;

/**
 * Reads `/tabmesh.json` of a relay's site.
 *
 * @param relay - address of the site, `https://…`; plain HTTP only for loopback
 * @throws PeerUnreachableError when nothing answers, MalformedMessageError when something else than a relay does
 */
export async function readSite(relay: string, signal?: AbortSignal): Promise<Site> {
	const url = siteUrl(relay);
	const timeout = AbortSignal.timeout(patienceMs);
	let response: Response;
	try {
		response = await fetch(new URL("/tabmesh.json", url), {
			signal: signal ? AbortSignal.any([signal, timeout]) : timeout,
		});
	} catch (cause) {
		signal?.throwIfAborted();
		throw new PeerUnreachableError(`No relay answers at ${url.origin}.`, {
			cause,
			metaMessages: ["Check the address, and that the relay runs (npm start)."],
		});
	}
	const text = response.ok ? await response.text() : "";
	let description: unknown;
	try {
		description = text.length <= longestDescription ? JSON.parse(text) : undefined;
	} catch {
		// Answered below like every other answer that is no description.
	}
	const parsed = v.safeParse(siteSchema, description);
	if (!parsed.success) {
		throw new MalformedMessageError(`${url.origin} answers, but not as a Tabmesh relay.`, {
			details: { status: response.status },
		});
	}
	return parsed.output;
}

function siteUrl(relay: string): URL {
	let url: URL;
	try {
		url = new URL(relay.includes("://") ? relay : `http://${relay}`);
	} catch {
		throw new PeerUnreachableError(`"${relay.slice(0, 100)}" is not the address of a relay.`, {
			metaMessages: ["It looks like https://relay.example.org or http://localhost:8787."],
		});
	}
	const loopback =
		/^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(url.hostname) || url.hostname.endsWith(".localhost");
	if (url.protocol !== "https:" && !loopback) {
		throw new InsecureOriginError(`A relay on ${url.hostname} is reached over HTTPS only.`);
	}
	return url;
}
