import {
	CapabilityActionError,
	CapabilityError,
	CapabilityHolderError,
	CapabilityRevokedError,
	CapabilityRoomError,
	CapabilityTimeError,
} from "@tabmesh/wire";
import { peerIdFromPublicKey } from "../peerId.ts";
import type { Capability } from "./capability.ts";
import { checkChain } from "./capabilityChain.ts";
import { decodeCapability } from "./capabilityToken.ts";

/** What a capability must allow. */
export interface CapabilityDemand {
	room: string;
	/** Who shows it, as its connection or envelope proved. */
	peer: string;
	action: string;
	/** Milliseconds since 1970. @default Date.now() */
	now?: number;
	/** Whether the link with this id was revoked; asked for every link of the chain. */
	revoked?: (id: string) => boolean;
}

/**
 * Checks a capability that a peer shows. Needs no server: the room's id carries the owner's key.
 *
 * The cost is one Ed25519 check for each link, eight at most, so keep the answer until `expires` for as long as the
 * connection lives.
 *
 * @throws MalformedMessageError, MessageTooLargeError; CapabilityRoomError, CapabilityHolderError, CapabilityTimeError,
 * CapabilityActionError, CapabilityWidenedError, CapabilityForgedError, CapabilityRevokedError; CapabilityError when the
 * token still carries its secret
 */
export async function verifyCapability(token: string, demand: CapabilityDemand): Promise<Capability> {
	const wire = decodeCapability(token);
	const [, room, blocks, secret] = wire;
	// The cheap checks first: a flood of wrong tokens must not cost signature checks.
	if (room !== demand.room) throw new CapabilityRoomError(`This capability is for the room ${room}.`);
	if (secret) {
		throw new CapabilityError("This capability still carries its secret.", {
			metaMessages: ["Show what presentCapability() makes of it."],
		});
	}
	if (peerIdFromPublicKey(blocks.at(-1)![3]) !== demand.peer) {
		throw new CapabilityHolderError("This capability was given to another peer.");
	}
	const { capability } = await checkChain(wire);
	const now = demand.now ?? Date.now();
	if (now < capability.notBefore || now >= capability.expires) {
		throw new CapabilityTimeError(
			now < capability.notBefore ? "This capability has not begun." : "This capability is over.",
			{
				metaMessages: ["Ask the room's owner for a new invitation."],
				details: { notBefore: capability.notBefore, expires: capability.expires, now },
			},
		);
	}
	if (!capability.actions.includes(demand.action)) {
		throw new CapabilityActionError(`This capability does not allow to ${demand.action}.`, {
			metaMessages: ["Ask the room's owner for one that does."],
		});
	}
	if (demand.revoked && capability.ids.some(demand.revoked)) {
		throw new CapabilityRevokedError("This capability was revoked.");
	}
	return capability;
}
