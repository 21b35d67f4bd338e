import { ed25519 } from "@noble/curves/ed25519.js";
import { CapabilityRoomError, equalBytes, InvalidParameterError } from "@tabmesh/wire";
import type { PeerIdentity } from "../identity.ts";
import { publicKeyFromPeerId } from "../peerId.ts";
import { capabilityBody } from "./capabilityBody.ts";
import { decodeCapability, encodeCapability, type NewCapability } from "./capabilityToken.ts";
import { roomOwner } from "./privateRoom.ts";

export interface CapabilityGrant {
	/** The private room, see `privateRoomId`. */
	room: string;
	/** `ask`, `lend`, … */
	actions: readonly string[];
	/** Milliseconds since 1970. */
	expires: number;
	/** Milliseconds since 1970. @default at once */
	notBefore?: number;
	/** The peer that it is for; without it, it is a link for whoever has it. */
	to?: string;
}

/**
 * The first capability of a chain, signed by the room's owner.
 *
 * A token without `to` carries a secret: give it to those you invite and to nobody else. Whoever received it shows it
 * through `presentCapability`, which leaves the secret at home.
 *
 * @returns a word of about 300 characters that is safe in a link
 * @throws CapabilityRoomError when the room is not this identity's; MalformedMessageError when `to` is no peer id;
 * InvalidParameterError
 *
 * @example
 * ```ts
 * import { createIdentity, mintCapability, privateRoomId } from "@tabmesh/dauth";
 * const owner = await createIdentity();
 * const room = privateRoomId("family", owner.publicKey);
 * const invitation = await mintCapability(owner, { room, actions: ["ask"], expires: Date.now() + 86_400_000 });
 * const link = `https://example.org/chat#${invitation}`;
 * ```
 */
export async function mintCapability(owner: PeerIdentity, grant: CapabilityGrant): Promise<string> {
	const key = roomOwner(grant.room);
	if (!key || !equalBytes(key, owner.publicKey)) {
		throw new CapabilityRoomError(`Only the owner of ${grant.room} can let others in.`);
	}
	if (!Number.isFinite(grant.expires)) throw new InvalidParameterError("A capability must end some day.");
	const { next, secret } = nextKey(grant.to);
	const actions = sortedActions(grant.actions);
	const notBefore = grant.notBefore === undefined ? null : Math.floor(grant.notBefore);
	const expires = Math.floor(grant.expires);
	const signature = await owner.sign(capabilityBody(grant.room, actions, notBefore, expires, next));
	return checkedToken([1, grant.room, [[actions, notBefore, expires, next, signature]], secret]);
}

/** Who may go on: the peer `to`, or a fresh key whose secret goes with the token. */
export function nextKey(to: string | undefined): { next: Uint8Array; secret: Uint8Array | null } {
	if (to !== undefined) return { next: publicKeyFromPeerId(to), secret: null };
	const secret = ed25519.utils.randomSecretKey();
	return { next: ed25519.getPublicKey(secret), secret };
}

export function sortedActions(actions: readonly string[]): string[] {
	return [...new Set(actions)].sort();
}

/** The token, unless what it was asked to say lies outside the schema. */
export function checkedToken(capability: NewCapability): string {
	const token = encodeCapability(capability);
	try {
		decodeCapability(token);
	} catch (cause) {
		throw new InvalidParameterError("No capability can say this.", {
			cause,
			metaMessages: ["Actions are short lower-case words, times are milliseconds since 1970."],
		});
	}
	return token;
}
