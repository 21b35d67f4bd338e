import { publicKeyFromRaw } from "@libp2p/crypto/keys";
import { sha256 } from "@noble/hashes/sha2.js";
import {
	CapabilityForgedError,
	CapabilityRoomError,
	CapabilityWidenedError,
	type WireCapability,
} from "@tabmesh/wire";
import { base64url } from "multiformats/bases/base64";
import { peerIdFromPublicKey } from "../peerId.ts";
import type { Capability } from "./capability.ts";
import { capabilityBody } from "./capabilityBody.ts";
import { roomOwner } from "./privateRoom.ts";

/** What a chain grants in its end, and what its next block would be tied to. */
export interface CheckedChain {
	readonly capability: Capability;
	/** SHA-256 of the last block's body. */
	readonly parent: Uint8Array;
	/** The last block's next key. */
	readonly key: Uint8Array;
}

/**
 * Walks a chain from the room's owner to its end. Time, holder and revocation are the caller's to check.
 *
 * @throws CapabilityRoomError when the room has no owner; CapabilityWidenedError, CapabilityForgedError
 */
export async function checkChain([, room, blocks, secret]: WireCapability): Promise<CheckedChain> {
	const owner = roomOwner(room);
	if (!owner)
		throw new CapabilityRoomError(`The room ${room} is public: it has no owner and no capabilities.`);
	let signer = owner;
	let parent: string | Uint8Array = room;
	let actions: readonly string[] = [];
	let notBefore = 0;
	let expires = Number.POSITIVE_INFINITY;
	const ids: string[] = [];
	for (const [i, [grants, from, until, next, signature]] of blocks.entries()) {
		if (i > 0) assertNarrower({ actions, notBefore, expires }, grants, from, until);
		actions = grants ?? actions;
		notBefore = from ?? notBefore;
		expires = until ?? expires;
		const body = capabilityBody(parent, grants, from, until, next);
		if (!(await isSignedBy(signer, body, signature))) {
			throw new CapabilityForgedError("A link of this capability was not signed by the one before it.", {
				details: { link: i },
			});
		}
		parent = sha256(body);
		ids.push(base64url.baseEncode(parent));
		signer = next;
	}
	return {
		capability: {
			room,
			actions,
			notBefore,
			expires,
			holder: secret ? undefined : peerIdFromPublicKey(signer),
			ids,
		},
		parent: parent as Uint8Array,
		key: signer,
	};
}

/** @throws CapabilityWidenedError when a block grants what the blocks above it do not */
export function assertNarrower(
	above: Pick<Capability, "actions" | "notBefore" | "expires">,
	actions: readonly string[] | null,
	notBefore: number | null,
	expires: number | null,
): void {
	const wider =
		(actions?.some((action) => !above.actions.includes(action)) ?? false) ||
		(notBefore !== null && notBefore < above.notBefore) ||
		(expires !== null && expires > above.expires);
	if (wider) {
		throw new CapabilityWidenedError("A capability can be narrowed on its way, never widened.", {
			metaMessages: ["Ask the room's owner for one that grants more."],
		});
	}
}

async function isSignedBy(key: Uint8Array, body: Uint8Array, signature: Uint8Array): Promise<boolean> {
	try {
		return await publicKeyFromRaw(key).verify(body, signature);
	} catch {
		// Not a point of the curve.
		return false;
	}
}
