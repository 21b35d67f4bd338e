import { admitToRoom, type PeerIdentity, presentCapability, readCapability } from "@tabmesh/dauth";
import { CapabilityRoomError } from "@tabmesh/wire";

/** A room, and what this peer shows there. */
export interface EnteredRoom {
	readonly room: string;
	/** In a private room, unless it is ours: without its secret. */
	readonly capability?: string;
}

export interface RoomWish {
	/** The room that was asked for. */
	room?: string;
	/** An invitation. */
	capability?: string;
	/** The room that the site names. */
	siteRoom: string;
	identity: PeerIdentity;
}

/**
 * Chooses the room: the one asked for, else the invitation's, else the site's; and finds out before anything is opened
 * whether this peer may enter it.
 *
 * @throws CapabilityError where the room is private and the invitation is missing, over, or another peer's;
 * CapabilityRoomError where it is for another room; MalformedMessageError where it is none
 */
export async function enterRoom({ room, capability, siteRoom, identity }: RoomWish): Promise<EnteredRoom> {
	const { peer } = identity;
	if (capability === undefined) {
		const wanted = room ?? siteRoom;
		await admitToRoom({ room: wanted, peer, action: "ask" });
		return { room: wanted };
	}
	const invitation = await readCapability(capability);
	if (room !== undefined && room !== invitation.room) {
		throw new CapabilityRoomError(`This invitation is for the room ${invitation.room}.`, {
			metaMessages: ["Leave the room's name out: the invitation carries it."],
		});
	}
	const shown = await presentCapability(capability, identity);
	// Whatever it grants: who may only look may look.
	const [action = ""] = invitation.actions;
	await admitToRoom({ room: invitation.room, peer, capability: shown, action });
	return { room: invitation.room, capability: shown };
}
