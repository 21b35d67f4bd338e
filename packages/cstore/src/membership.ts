import {
	type Capability,
	peerIdFromPublicKey,
	readCapability,
	roomOwner,
	verifyCapability,
} from "@tabmesh/dauth";

export interface MembershipInit {
	room: string;
	/** Whether the link of a capability with this id was revoked. */
	revoked?: (id: string) => boolean;
}

/** Capabilities remembered: one for each member of the largest room that one relay serves. */
const capacity = 5_000;

/**
 * Who may write in a room. In a public room everybody; in a private one its owner, and whoever shows a capability for
 * it, whatever that allows: who may ask or lend there may share state there.
 */
export class Membership {
	readonly #room: string;
	readonly #revoked: ((id: string) => boolean) | undefined;
	readonly #owner: string | undefined;
	readonly #members = new Map<string, { token: string; capability: Capability }>();

	constructor(init: MembershipInit) {
		this.#room = init.room;
		this.#revoked = init.revoked;
		const key = roomOwner(init.room);
		this.#owner = key && peerIdFromPublicKey(key);
	}

	/** Whether only members may write. */
	get closed(): boolean {
		return this.#owner !== undefined;
	}

	/**
	 * Whether `peer` may write at `time`, milliseconds since 1970. The time is that of the write and not of today, so that
	 * every replica answers the same, whenever it hears of it.
	 */
	admits(peer: string, time: number): boolean {
		if (this.#owner === undefined || peer === this.#owner) return true;
		const known = this.#members.get(peer)?.capability;
		return (
			known !== undefined &&
			time >= known.notBefore &&
			time < known.expires &&
			!(this.#revoked && known.ids.some(this.#revoked))
		);
	}

	/** Whether `peer` may do this in the room now, as far as it has shown here what it may. */
	allows(peer: string, action: string, now: number): boolean {
		if (this.#owner === undefined || peer === this.#owner) return true;
		return this.admits(peer, now) && this.#members.get(peer)!.capability.actions.includes(action);
	}

	/**
	 * Takes notice of what `peer` shows.
	 *
	 * @throws what `verifyCapability` throws
	 */
	async learn(peer: string, token: string): Promise<void> {
		if (this.#owner === undefined || this.#members.get(peer)?.token === token) return;
		const { actions, notBefore } = await readCapability(token);
		const capability = await verifyCapability(token, {
			room: this.#room,
			peer,
			action: actions[0] ?? "",
			// Its time is looked at for every write.
			now: notBefore,
			...(this.#revoked ? { revoked: this.#revoked } : {}),
		});
		this.#members.delete(peer);
		this.#members.set(peer, { token, capability });
		const [oldest] = this.#members.keys();
		if (this.#members.size > capacity && oldest !== undefined) this.#members.delete(oldest);
	}
}
