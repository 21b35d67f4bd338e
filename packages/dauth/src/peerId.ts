import { publicKeyFromRaw } from "@libp2p/crypto/keys";
import { peerIdFromString, peerIdFromPublicKey as peerIdOf } from "@libp2p/peer-id";
import { MalformedMessageError } from "@tabmesh/wire";

/**
 * The libp2p peer id of a raw Ed25519 public key: base58btc of the identity multihash of the key's protobuf.
 *
 * @param publicKey - 32 bytes
 * @returns `12D3KooW…`
 * @throws MalformedMessageError when it is not 32 bytes long
 * @see https://github.com/libp2p/specs/blob/master/peer-ids/peer-ids.md
 */
export function peerIdFromPublicKey(publicKey: Uint8Array): string {
	if (publicKey.byteLength !== 32) {
		throw new MalformedMessageError("An Ed25519 public key has 32 bytes.", {
			details: { bytes: publicKey.byteLength },
		});
	}
	return peerIdOf(publicKeyFromRaw(publicKey)).toString();
}

/**
 * The raw Ed25519 public key that a peer id carries in itself.
 *
 * @param peer - `12D3KooW…`
 * @returns 32 bytes
 * @throws MalformedMessageError when it is no peer id of an Ed25519 key
 */
export function publicKeyFromPeerId(peer: string): Uint8Array {
	try {
		const { publicKey } = peerIdFromString(peer);
		if (publicKey?.type === "Ed25519") return publicKey.raw;
	} catch (cause) {
		throw new MalformedMessageError("This is not a peer id.", { cause });
	}
	throw new MalformedMessageError("This peer id does not belong to an Ed25519 key.");
}
