import { CapabilityError, equalBytes } from "@tabmesh/wire";
import { publicKeyFromPeerId } from "../peerId.ts";
import { roomOwner } from "./privateRoom.ts";
import { type CapabilityDemand, verifyCapability } from "./verifyCapability.ts";

/** Who wants to do what where, and the capability that he shows. */
export interface RoomEntry extends CapabilityDemand {
	capability?: string | undefined;
}

/**
 * Lets a peer do something in a room: everybody in a public one; in a private one its owner, and whoever shows a
 * capability that allows it.
 *
 * @throws CapabilityError where none is shown, and what `verifyCapability` throws
 */
export async function admitToRoom({ capability, ...demand }: RoomEntry): Promise<void> {
	const { room, peer } = demand;
	const owner = roomOwner(room);
	if (owner === undefined || equalBytes(owner, publicKeyFromPeerId(peer))) return;
	if (capability === undefined) {
		throw new CapabilityError(`The room ${room} is private.`, {
			metaMessages: ["Ask its owner for an invitation."],
			details: { room },
		});
	}
	await verifyCapability(capability, demand);
}
