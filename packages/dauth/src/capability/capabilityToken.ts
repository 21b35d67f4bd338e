import { ed25519 } from "@noble/curves/ed25519.js";
import {
	CapabilityError,
	capabilitySchema,
	decodeCbor,
	encodeCbor,
	equalBytes,
	limits,
	MalformedMessageError,
	MessageTooLargeError,
	type WireCapability,
} from "@tabmesh/wire";
import { base64url } from "multiformats/bases/base64";

/** A {@link WireCapability} that was made here and not yet held against its schema. */
export type NewCapability = readonly [
	version: 1,
	room: string,
	blocks: readonly unknown[],
	secret: Uint8Array | null,
];

/** The token as one word of letters, digits, `-` and `_`. */
export function encodeCapability(capability: NewCapability): string {
	return base64url.baseEncode(encodeCbor(capability));
}

/**
 * The chain inside a token, its shape checked and nothing else.
 *
 * @throws MalformedMessageError, MessageTooLargeError; CapabilityError when its secret is not that of its last key
 */
export function decodeCapability(token: string): WireCapability {
	// Four characters for three bytes; what is longer is not even decoded.
	if (token.length > Math.ceil((limits.capabilityBytes * 4) / 3)) {
		throw new MessageTooLargeError("This capability is longer than any that is made.", {
			details: { length: token.length },
		});
	}
	let bytes: Uint8Array;
	try {
		bytes = base64url.baseDecode(token);
	} catch (cause) {
		throw new MalformedMessageError("This is not a capability.", { cause });
	}
	if (base64url.baseEncode(bytes) !== token) throw new MalformedMessageError("This is not a capability.");
	const capability = decodeCbor(capabilitySchema, bytes, limits.capabilityBytes);
	const [, , blocks, secret] = capability;
	if (secret && !equalBytes(ed25519.getPublicKey(secret), blocks.at(-1)![3])) {
		throw new CapabilityError("The secret in this capability is not that of its last key.");
	}
	return capability;
}
