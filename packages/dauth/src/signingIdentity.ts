import { publicKeyFromRaw } from "@libp2p/crypto/keys";
import type { AbortOptions, Ed25519PrivateKey, Ed25519PublicKey } from "@libp2p/interface";
import { KeyStorageError } from "@tabmesh/wire";
import type { PeerIdentity } from "./identity.ts";
import { peerIdFromPublicKey } from "./peerId.ts";
import { type SigningKey, signWith } from "./signingKey.ts";

/** Something that gives its bytes as one array: libp2p's Uint8ArrayList. */
interface ByteList {
	subarray(): Uint8Array;
}

/** A libp2p private key whose secret stays behind {@link signWith}. */
class GuardedPrivateKey implements Ed25519PrivateKey {
	readonly type = "Ed25519";
	readonly publicKey: Ed25519PublicKey;
	readonly #key: SigningKey;

	constructor(key: SigningKey) {
		this.#key = key;
		this.publicKey = publicKeyFromRaw(key.publicKey) as Ed25519PublicKey;
	}

	get raw(): Uint8Array {
		throw new KeyStorageError("The private key of a peer can sign but cannot be read.");
	}

	equals(other?: unknown): boolean {
		return other === this || (other instanceof GuardedPrivateKey && other.publicKey.equals(this.publicKey));
	}

	async sign(data: Uint8Array | ByteList, options?: AbortOptions): Promise<Uint8Array> {
		options?.signal?.throwIfAborted();
		return signWith(this.#key, data instanceof Uint8Array ? data : data.subarray());
	}
}

/** The identity that signs with `key`. `release` runs once. */
export function identityOf(
	key: SigningKey,
	keeping: { persistent: boolean; release?: () => Promise<void> | void },
): PeerIdentity {
	const privateKey = new GuardedPrivateKey(key);
	let released: Promise<void> | undefined;
	return {
		peer: peerIdFromPublicKey(key.publicKey),
		publicKey: key.publicKey,
		privateKey,
		persistent: keeping.persistent,
		sign: (bytes) => signWith(key, bytes),
		release: () => (released ??= Promise.resolve(keeping.release?.())),
	};
}
