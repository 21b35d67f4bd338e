import { InvalidParameterError, limits } from "@tabmesh/wire";
import { base64url } from "multiformats/bases/base64";

// A 32-byte key in base64url without padding.
const keyLength = 43;
const longestName = limits.roomIdLength - keyLength - 1;
const namePattern = /^[A-Za-z0-9_-]+$/;

/**
 * The id of a private room: `<name>.<owner's key>`. Because the id carries the key, whoever knows the room can check
 * its capabilities and needs nobody to ask.
 *
 * @param name - letters, digits, `_` and `-`; at most 20 of them
 * @param owner - the owner's raw Ed25519 public key
 * @throws InvalidParameterError
 */
export function privateRoomId(name: string, owner: Uint8Array): string {
	if (!namePattern.test(name) || name.length > longestName) {
		throw new InvalidParameterError(`"${name.slice(0, 64)}" cannot be the name of a private room.`, {
			metaMessages: [`Use 1 to ${longestName} letters, digits, "_" or "-".`],
		});
	}
	if (owner.byteLength !== 32) {
		throw new InvalidParameterError("A room's owner is an Ed25519 key of 32 bytes.");
	}
	return `${name}.${base64url.baseEncode(owner)}`;
}

/** The raw public key of a private room's owner; undefined for a public room. */
export function roomOwner(room: string): Uint8Array | undefined {
	const dot = room.indexOf(".");
	const encoded = room.slice(dot + 1);
	if (!namePattern.test(room.slice(0, Math.max(dot, 0))) || encoded.length !== keyLength) return undefined;
	try {
		const key = base64url.baseDecode(encoded);
		// One room has one id: the last character's spare bits are zero.
		return key.byteLength === 32 && base64url.baseEncode(key) === encoded ? key : undefined;
	} catch {
		return undefined;
	}
}
