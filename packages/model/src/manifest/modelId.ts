import { encodeCbor, type Manifest } from "@tabmesh/wire";
import { CID } from "multiformats/cid";
import { create as createDigest } from "multiformats/hashes/digest";
import { sha256 } from "./sha256.ts";

// https://github.com/multiformats/multicodec/blob/master/table.csv
const dagCbor = 0x71;
const sha2of256 = 0x12;

/** The id of a model: CIDv1, dag-cbor, SHA-256, base32, of its manifest's deterministic encoding. */
export async function modelId(manifest: Manifest): Promise<string> {
	return manifestBytesId(encodeCbor(manifest));
}

/** The id that encoded manifest `bytes` have. */
export async function manifestBytesId(bytes: Uint8Array): Promise<string> {
	return CID.createV1(dagCbor, createDigest(sha2of256, await sha256(bytes))).toString();
}
