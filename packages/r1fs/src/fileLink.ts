import { MalformedMessageError } from "@tabmesh/wire";
import { base64url } from "multiformats/bases/base64";
import { parseCid } from "./cid.ts";
import { fileKeyBytes } from "./fileCipher.ts";

/** A file and, where it is encrypted, the key that opens it. */
export interface FileLink {
	/** CIDv1 in base32. */
	readonly cid: string;
	readonly key?: Uint8Array<ArrayBuffer>;
}

const scheme = "r1fs:";

// Version 1 of the cipher: another one would carry another mark, and be refused here instead of opened wrongly.
const keyMark = "#1.";

// The scheme, a CID, the mark and 43 characters of key; anything much longer is something else.
const longestLink = 256;

/**
 * A link that carries the right to read: whoever has it can open the file. The key stands behind `#`, the part of a URL
 * that browsers keep to themselves.
 *
 * @example
 * ```ts
 * formatFileLink({ cid, key }); // "r1fs:bafy…#1.mWq…"
 * ```
 */
export function formatFileLink({ cid, key }: FileLink): string {
	// multibase's own letter `u` says nothing that the mark does not.
	return `${scheme}${parseCid(cid)}${key ? `${keyMark}${base64url.encode(key).slice(1)}` : ""}`;
}

/**
 * Reads what {@link formatFileLink} wrote, or a CID alone.
 *
 * @throws InvalidCidError, MalformedMessageError
 */
export function parseFileLink(text: string): FileLink {
	if (text.length > longestLink)
		throw new MalformedMessageError("A text of that length is no link to a file.");
	const link = text.startsWith(scheme) ? text.slice(scheme.length) : text;
	const hash = link.indexOf("#");
	if (hash < 0) return { cid: parseCid(link).toString() };
	const cid = parseCid(link.slice(0, hash)).toString();
	const mark = link.slice(hash);
	if (!mark.startsWith(keyMark))
		throw new MalformedMessageError("The link's key is of a kind that is not known here.");
	let key: Uint8Array;
	try {
		key = base64url.decode(`u${mark.slice(keyMark.length)}`);
	} catch (cause) {
		throw new MalformedMessageError("The link's key is broken.", { cause });
	}
	if (key.byteLength !== fileKeyBytes) throw new MalformedMessageError("The link's key was cut.");
	return { cid, key: new Uint8Array(key) };
}
