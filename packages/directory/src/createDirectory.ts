import { type Change, type Cstore, createCstore, createMemoryRecordStore, type Entry } from "@tabmesh/cstore";
import type { PeerIdentity } from "@tabmesh/dauth";
import type { Peer } from "@tabmesh/transport";
import {
	type Announcement,
	announcementSchema,
	decodeCbor,
	encodeCbor,
	equalBytes,
	limits,
} from "@tabmesh/wire";
import { TypedEventEmitter } from "main-event";
import type { Directory, DirectoryEvents, Member } from "./directory.ts";

const MiB = 1024 * 1024;
const minuteMs = 60_000;

/** The part of a room's state in which its peers announce themselves. */
export const directoryPart = "directory";
/** What a peer's announcement is kept under, behind `peer/<id>/`. One letter: it is in every announcement. */
export const announcementName = "a";

/** How long what a peer announced is kept by others. Whether it is here they learn from its digests, every 10 to 50 seconds. */
const retentionMs = 15 * minuteMs;
/** Announced again before half of that is over, so that a repeat that was lost harms nobody. */
const renewMs = 6 * minuteMs;
const renewCheckMs = 30_000;
/** What a peer keeps here: its announcement and, in a private room, its invitation. */
const quota = { bytes: 2 * limits.announcementBytes + limits.capabilityBytes, records: 4 };
/** What all may keep on this device: tens of thousands of announcements; a flood of invented peers stops here. */
const budgetBytes = 16 * MiB;
/** Changes closer together than this are spread as one, so that a busy lender does not flood the room. */
const spreadAtMostEveryMs = 250;
/** A device that slept through somebody's renewal hears of it again so soon after it woke up. */
const lapsedMs = minuteMs;

export interface DirectoryInit {
	peer: Peer;
	identity: PeerIdentity;
	room: string;
	/** In a private room: an invitation to it. The owner needs none. */
	capability?: string;
	/** Milliseconds since 1970. @default Date.now */
	now?: () => number;
}

class RoomDirectory extends TypedEventEmitter<DirectoryEvents> implements Directory {
	readonly #init: DirectoryInit;
	readonly #cstore: Cstore;
	readonly #now: () => number;
	readonly #shown = new Map<string, Member>();
	readonly #present: Set<string>;
	readonly #renewal: ReturnType<typeof setInterval>;
	readonly #lapses = new Set<ReturnType<typeof setTimeout>>();
	readonly #unwatch: () => void;
	readonly #onRelay = (event: CustomEvent<{ connected: boolean }>) => {
		// A relay that starts again has forgotten everybody.
		if (event.detail.connected) void this.#write({ again: true }).catch(() => {});
	};
	readonly #onPresence = (event: CustomEvent<{ peer: string; present: boolean }>) => {
		const { peer, present } = event.detail;
		if (present) this.#present.add(peer);
		else this.#present.delete(peer);
		this.#look(peer);
	};
	#members: readonly Member[] | undefined;
	#own: Announcement | undefined;
	#written: Uint8Array | undefined;
	#writtenAt = Number.NEGATIVE_INFINITY;
	#pendingWrite: ReturnType<typeof setTimeout> | undefined;
	#changeQueued = false;

	constructor(init: DirectoryInit, cstore: Cstore) {
		super();
		this.#init = init;
		this.#cstore = cstore;
		this.#now = init.now ?? Date.now;
		this.#present = new Set(cstore.peers);
		for (const peer of this.#present) this.#look(peer);
		this.#unwatch = cstore.watch("peer/", (changes) => {
			for (const change of changes) this.#onChange(change);
		});
		cstore.addEventListener("presence", this.#onPresence);
		init.peer.addEventListener("relay", this.#onRelay);
		this.#renewal = setInterval(() => {
			if (this.#sinceWritten() > renewMs) void this.#write({ again: true }).catch(() => {});
		}, renewCheckMs);
	}

	get members(): readonly Member[] {
		this.#members ??= [...this.#shown.values()].sort((a, b) => (a.peer < b.peer ? -1 : 1));
		return this.#members;
	}

	member(peer: string): Member | undefined {
		return this.#shown.get(peer);
	}

	allows(peer: string, action: string): boolean {
		return this.#cstore.allows(peer, action);
	}

	async announce(announcement: Announcement): Promise<void> {
		this.#own = announcement;
		this.#show({ ...announcement, peer: this.#init.peer.id, announced: this.#now() });
		const wait = spreadAtMostEveryMs - this.#sinceWritten();
		if (wait <= 0) await this.#write();
		else this.#pendingWrite ??= setTimeout(() => void this.#write().catch(() => {}), wait);
	}

	async leave(): Promise<void> {
		if (!this.#own) return;
		this.#own = undefined;
		this.#written = undefined;
		clearTimeout(this.#pendingWrite);
		this.#pendingWrite = undefined;
		const { id } = this.#init.peer;
		this.#forget(id);
		await this.#cstore.delete(keyOf(id));
	}

	async stop(): Promise<void> {
		await this.leave().catch(() => {});
		clearInterval(this.#renewal);
		for (const timer of this.#lapses) clearTimeout(timer);
		this.#unwatch();
		this.#cstore.removeEventListener("presence", this.#onPresence);
		this.#init.peer.removeEventListener("relay", this.#onRelay);
		await this.#cstore.stop();
	}

	/** Milliseconds since the last write; for ever where the clock was put back since. */
	#sinceWritten(): number {
		const ms = this.#now() - this.#writtenAt;
		return ms < 0 ? Number.POSITIVE_INFINITY : ms;
	}

	/** Writes what we announce, where it is not what was written last. */
	async #write({ again = false } = {}): Promise<void> {
		clearTimeout(this.#pendingWrite);
		this.#pendingWrite = undefined;
		if (!this.#own) return;
		const bytes = encodeCbor(this.#own);
		if (!again && this.#written && equalBytes(bytes, this.#written)) return;
		this.#written = bytes;
		this.#writtenAt = this.#now();
		await this.#cstore.set(keyOf(this.#init.peer.id), this.#own);
	}

	#onChange({ key, field, entry, lapsed }: Change): void {
		const [, peer, name] = key.split("/");
		if (peer === undefined || name !== announcementName || field !== undefined) return;
		// What we announce is shown before it is written.
		if (peer === this.#init.peer.id) return;
		if (!entry && lapsed) {
			const timer = setTimeout(() => {
				this.#lapses.delete(timer);
				this.#look(peer);
			}, lapsedMs);
			this.#lapses.add(timer);
			return;
		}
		if (entry && !this.#read(entry)) this.#init.peer.report(peer, "malformed");
		this.#look(peer);
	}

	/** Shows a peer that is here as it announced itself. */
	#look(peer: string): void {
		const entry = this.#present.has(peer) ? this.#cstore.entry(keyOf(peer)) : undefined;
		const announcement = entry && this.#read(entry);
		if (!announcement) {
			this.#forget(peer);
			return;
		}
		const { lends, ...rest } = announcement;
		// Who is a member and no more may be here, and lends nothing.
		const lending = lends && this.allows(peer, "lend") ? { lends } : {};
		this.#show({ ...rest, ...lending, peer, announced: entry.time });
	}

	/** What an entry announces in this room; undefined where it is no announcement for it. */
	#read({ value }: Entry): Announcement | undefined {
		try {
			const announcement = decodeCbor(announcementSchema, encodeCbor(value), limits.announcementBytes);
			return announcement.rooms.includes(this.#init.room) ? announcement : undefined;
		} catch {
			return undefined;
		}
	}

	#show(member: Member): void {
		this.#shown.set(member.peer, member);
		this.#changed();
	}

	#forget(peer: string): void {
		if (this.#shown.delete(peer)) this.#changed();
	}

	#changed(): void {
		this.#members = undefined;
		if (this.#changeQueued) return;
		this.#changeQueued = true;
		setTimeout(() => {
			this.#changeQueued = false;
			this.dispatchEvent(new Event("change"));
		}, 16);
	}
}

function keyOf(peer: string): string {
	return `peer/${peer}/${announcementName}`;
}

/**
 * Joins the room's directory, with whom the relays know to be there already.
 *
 * @throws CapabilityError where the room is private and the capability is missing or not for it
 *
 * @example
 * ```ts
 * const directory = await createDirectory({ peer, identity, room: "public" });
 * directory.addEventListener("change", () => draw(directory.members));
 * ```
 */
export async function createDirectory(init: DirectoryInit): Promise<Directory> {
	const { peer, identity, room, capability, now } = init;
	const cstore = await createCstore({
		peer,
		identity,
		room,
		part: directoryPart,
		presence: true,
		// Who was here before a restart is no news after it.
		store: createMemoryRecordStore(),
		retentionMs,
		quota,
		budgetBytes,
		...(capability === undefined ? {} : { capability }),
		...(now === undefined ? {} : { now }),
	});
	return new RoomDirectory(init, cstore);
}
