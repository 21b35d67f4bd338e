import * as dagPb from "@ipld/dag-pb";
import { BlockIntegrityError, InvalidCidError } from "@tabmesh/wire";
import { base32 } from "multiformats/bases/base32";
import { CID } from "multiformats/cid";
import * as raw from "multiformats/codecs/raw";
import { create as createDigest } from "multiformats/hashes/digest";
import { sha256 } from "multiformats/hashes/sha2";

// The longest text of a CID that we take: base58 of 36 bytes has 50 characters, base32 59; nobody needs more.
const longestCidText = 128;

const sha256Bytes = 32;

/**
 * The content address that `cid` names: version 0 or 1, raw bytes or dag-pb, SHA-256.
 *
 * @throws InvalidCidError for everything else: paths, URLs, other hashes, hashes that carry their bytes themselves
 */
export function parseCid(cid: string | CID): CID {
	if (typeof cid !== "string") return checkedCid(cid);
	if (cid.length > longestCidText) throw new InvalidCidError("A text of that length is no CID.");
	let parsed: CID;
	try {
		parsed = CID.parse(cid);
	} catch (cause) {
		throw new InvalidCidError(`"${cid}" is no CID.`, { cause, details: { cid } });
	}
	return checkedCid(parsed);
}

/** {@link parseCid} for the binary form. @throws InvalidCidError */
export function decodeCid(bytes: Uint8Array): CID {
	let parsed: CID;
	try {
		parsed = CID.decode(bytes);
	} catch (cause) {
		throw new InvalidCidError("Bytes are no CID.", { cause });
	}
	return checkedCid(parsed);
}

function checkedCid(cid: CID): CID {
	const { code, multihash } = cid;
	if (
		(code !== raw.code && code !== dagPb.code) ||
		multihash.code !== sha256.code ||
		multihash.digest.byteLength !== sha256Bytes
	) {
		throw new InvalidCidError("Only CIDs of raw bytes or dag-pb with SHA-256 are read.", {
			details: { codec: code, hash: multihash.code },
		});
	}
	return cid.version === 1 ? cid : cid.toV1();
}

/** The address of raw bytes with this SHA-256. @throws InvalidCidError where it is none */
export function rawCid(digest: Uint8Array): CID {
	return checkedCid(CID.createV1(raw.code, createDigest(sha256.code, digest)));
}

/** What a block is stored under: its multihash, as every IPFS block store does, since raw and dag-pb CIDs may share their bytes. */
export function blockKey(cid: CID): string {
	return base32.encode(cid.multihash.bytes);
}

/** @throws BlockIntegrityError when `bytes` do not have the hash in `cid` */
export async function verifyBlock(cid: CID, bytes: Uint8Array): Promise<void> {
	const { digest } = await sha256.digest(bytes);
	const expected = cid.multihash.digest;
	for (let i = 0; i < sha256Bytes; i++) {
		if (digest[i] !== expected[i]) {
			throw new BlockIntegrityError("Bytes do not have the hash they are addressed by.", {
				details: { cid: cid.toString() },
			});
		}
	}
}
