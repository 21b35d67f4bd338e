import type { Prekey, Prekeys, Sealer } from "@tabmesh/dauth/sealed";
import { DecryptionError } from "@tabmesh/wire";
import type { CID } from "multiformats/cid";
import { fileKeyBytes } from "./fileCipher.ts";

/** A file's key that one peer can open, once, as long as it holds the prekey that the key was sealed to. */
export interface SealedFileKey {
	/** Peer id of whoever can open it. */
	readonly peer: string;
	readonly sealed: Uint8Array;
}

/** Seals a file's key to each of `to`. It opens for this file only. @throws what `Sealer.seal` throws */
export function sealFileKey(
	sealer: Pick<Sealer, "seal">,
	cid: CID,
	key: Uint8Array,
	to: readonly Prekey[],
): Promise<SealedFileKey[]> {
	return Promise.all(
		to.map(async (prekey) => ({ peer: prekey.peer, sealed: await sealer.seal(prekey, key, purpose(cid)) })),
	);
}

/** @throws DecryptionError when what was sealed is no key of a file, and what `Prekeys.open` throws */
export async function openFileKey(
	prekeys: Pick<Prekeys, "open">,
	cid: CID,
	sealed: Uint8Array,
): Promise<Uint8Array> {
	const { message } = await prekeys.open(sealed, purpose(cid));
	if (message.byteLength !== fileKeyBytes) throw new DecryptionError("What was sealed is no key of a file.");
	return message;
}

const words = new TextEncoder().encode("tabmesh r1fs key 1");

/** Authenticated with the key: passed on for another file, or another use, it does not open. */
function purpose(cid: CID): Uint8Array {
	const bytes = new Uint8Array(words.byteLength + cid.bytes.byteLength);
	bytes.set(words);
	bytes.set(cid.bytes, words.byteLength);
	return bytes;
}
