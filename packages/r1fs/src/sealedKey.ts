import { DecryptionError } from "@tabmesh/wire";
import { decodeCid, parseCid } from "./cid.ts";
import { fileKeyBytes } from "./fileCipher.ts";
import type { FileLink } from "./fileLink.ts";

/**
 * What R1FS needs to hand a file's key to named peers. dAuth's sealed payloads give it; the client hands it in.
 * `context` is authenticated with the bytes: what was sealed for one use opens for no other.
 */
export interface PayloadSealer {
	/** Encrypts `payload` so that each of `peers` can open it and nobody else. */
	seal(payload: Uint8Array, peers: readonly string[], context: string): Promise<Uint8Array>;
	/** @throws DecryptionError, InvalidSignatureError or MalformedMessageError where it is not for us, or was changed */
	open(sealed: Uint8Array, context: string): Promise<Uint8Array>;
}

const context = "tabmesh r1fs key 1";

/** Seals the key together with the CID it opens, so that it cannot be passed on for another file. */
export async function sealFileKey(
	sealer: PayloadSealer,
	link: Required<FileLink>,
	peers: readonly string[],
): Promise<Uint8Array> {
	const cid = parseCid(link.cid).bytes;
	const payload = new Uint8Array(fileKeyBytes + cid.byteLength);
	payload.set(link.key);
	payload.set(cid, fileKeyBytes);
	return sealer.seal(payload, peers, context);
}

/** @throws DecryptionError where what was sealed is no key of a file, and what `sealer.open` throws */
export async function openFileKey(sealer: PayloadSealer, sealed: Uint8Array): Promise<Required<FileLink>> {
	const payload = await sealer.open(sealed, context);
	if (payload.byteLength <= fileKeyBytes) throw new DecryptionError("What was sealed is no key of a file.");
	const cid = decodeCid(payload.slice(fileKeyBytes)).toString();
	return { cid, key: new Uint8Array(payload.subarray(0, fileKeyBytes)) };
}
