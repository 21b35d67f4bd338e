import { Aes256Gcm, CipherSuite, DhkemX25519HkdfSha256, HkdfSha256 } from "@hpke/core";
import { encodeCbor, InsecureOriginError } from "@tabmesh/wire";

let suite: CipherSuite | undefined;

/** DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-256-GCM of RFC 9180, through WebCrypto. */
export function hpkeSuite(): CipherSuite {
	if (!globalThis.crypto?.subtle) {
		throw new InsecureOriginError("Sealed messages need WebCrypto, which this page does not have.", {
			metaMessages: ["Open it over HTTPS or on localhost."],
		});
	}
	suite ??= new CipherSuite({
		kem: new DhkemX25519HkdfSha256(),
		kdf: new HkdfSha256(),
		aead: new Aes256Gcm(),
	});
	return suite;
}

/**
 * What a sealed message is bound to besides its keys: who sent it to whom. Without the sender in it, somebody could
 * strip the envelope, sign the ciphertext as their own and pass off what they cannot read as what they said.
 */
export function sealedInfo(sender: Uint8Array, recipient: Uint8Array): Uint8Array {
	return encodeCbor(["tabmesh sealed", sender, recipient]);
}
