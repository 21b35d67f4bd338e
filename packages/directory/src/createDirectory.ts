import type { EnvelopeSigner, EnvelopeVerifier } from "@tabmesh/dauth";
import type { Peer } from "@tabmesh/transport";
import {
	type Announcement,
	announcementSchema,
	decodeCbor,
	EnvelopeTimeError,
	encodeCbor,
	limits,
	MalformedMessageError,
	ReplayedEnvelopeError,
} from "@tabmesh/wire";
import { TypedEventEmitter } from "main-event";
import type { Directory, DirectoryEvents, Member } from "./directory.ts";

/** How often a peer repeats its announcement. With 100 peers of 300 bytes this is 3 KB/s: noise beside one token's hidden state. */
const repeatMs = 10_000;
/** An announcement lives for three missed repeats and some delay. */
const lifetimeMs = 35_000;
/** How often we look for announcements that have expired. */
const sweepEveryMs = 2_000;
/** Changes closer together than this are spread as one, so that a busy lender does not flood the room. */
const spreadAtMostEveryMs = 250;
/** Members of one room that are kept; a flood of invented peers stops here. */
const mostMembers = 20_000;

/** The gossip topic on which the peers of `room` announce themselves. */
export function announceTopic(room: string): string {
	return `tabmesh/announce/1/${room}`;
}

export interface DirectoryInit {
	peer: Peer;
	signer: EnvelopeSigner;
	verifier: EnvelopeVerifier;
	room: string;
	/** Milliseconds since 1970. @default Date.now */
	now?: () => number;
}

interface Entry {
	member: Member;
	/** By the time that we have been awake, so that neither a peer's clock nor our own sleep makes us forget it too early. */
	heard: number;
}

class GossipDirectory extends TypedEventEmitter<DirectoryEvents> implements Directory {
	readonly #init: DirectoryInit;
	readonly #now: () => number;
	readonly #topicName: string;
	readonly #topic: ReturnType<Peer["topic"]>;
	readonly #entries = new Map<string, Entry>();
	readonly #sweep: ReturnType<typeof setInterval>;
	readonly #onRelay = (event: CustomEvent<{ connected: boolean }>) => {
		if (event.detail.connected) void this.#askRendezvous().then(() => this.#spread());
	};
	#members: readonly Member[] | undefined;
	#own: Announcement | undefined;
	#repeat: ReturnType<typeof setInterval> | undefined;
	#pendingSpread: ReturnType<typeof setTimeout> | undefined;
	#lastSpread = 0;
	#awakeMs = 0;
	#lastSweep: number;
	#changeQueued = false;

	constructor(init: DirectoryInit) {
		super();
		this.#init = init;
		this.#now = init.now ?? Date.now;
		this.#topicName = announceTopic(init.room);
		this.#topic = init.peer.topic(this.#topicName, {
			maxMessageBytes: limits.envelopeBytes,
			onMessage: (message) => this.#take(message),
		});
		this.#lastSweep = this.#now();
		this.#sweep = setInterval(() => this.#forgetExpired(), sweepEveryMs);
		init.peer.addEventListener("relay", this.#onRelay);
	}

	get members(): readonly Member[] {
		this.#members ??= [...this.#entries.values()]
			.map((entry) => entry.member)
			.sort((a, b) => (a.peer < b.peer ? -1 : 1));
		return this.#members;
	}

	member(peer: string): Member | undefined {
		return this.#entries.get(peer)?.member;
	}

	async announce(announcement: Announcement): Promise<void> {
		this.#own = announcement;
		this.#keep({ ...announcement, peer: this.#init.peer.id, announced: this.#now() });
		this.#repeat ??= setInterval(() => void this.#spread(), repeatMs);
		const wait = this.#lastSpread + spreadAtMostEveryMs - this.#now();
		if (wait <= 0) await this.#spread();
		else this.#pendingSpread ??= setTimeout(() => void this.#spread(), wait);
	}

	async leave(): Promise<void> {
		const own = this.#own;
		if (!own) return;
		this.#silence();
		this.#forget(this.#init.peer.id);
		const goodbye: Announcement = {
			rooms: own.rooms,
			majors: own.majors,
			kind: own.kind,
			joined: own.joined,
			leaving: true,
		};
		await this.#publish(goodbye);
	}

	async stop(): Promise<void> {
		await this.leave().catch(() => {});
		clearInterval(this.#sweep);
		this.#init.peer.removeEventListener("relay", this.#onRelay);
		this.#topic.leave();
	}

	/** Everybody that the relays remember: a newcomer sees the room at once. */
	async askForMembers(): Promise<void> {
		await this.#askRendezvous();
	}

	async #askRendezvous(): Promise<void> {
		const remembered = await this.#init.peer.rendezvous(this.#topicName).catch(() => []);
		// One broken record must not hide the others.
		await Promise.all(remembered.map((message) => this.#take(message).catch(() => {})));
	}

	#silence(): void {
		this.#own = undefined;
		clearInterval(this.#repeat);
		clearTimeout(this.#pendingSpread);
		this.#repeat = undefined;
		this.#pendingSpread = undefined;
	}

	async #spread(): Promise<void> {
		clearTimeout(this.#pendingSpread);
		this.#pendingSpread = undefined;
		if (!this.#own) return;
		this.#lastSpread = this.#now();
		// Nobody listening yet is no failure: the repeat will find them, and a relay that comes back triggers a spread.
		await this.#publish(this.#own).catch(() => {});
	}

	async #publish(announcement: Announcement): Promise<void> {
		await this.#topic.publish(await this.#init.signer.seal("announcement", encodeCbor(announcement)));
	}

	/** @throws a TabmeshError for what an honest peer does not send; the transport reports the sender */
	async #take(message: Uint8Array): Promise<void> {
		let opened: Awaited<ReturnType<EnvelopeVerifier["open"]>>;
		try {
			opened = await this.#init.verifier.open(message, "announcement");
		} catch (error) {
			// Gossip and rendezvous bring the same announcement twice, and a delayed one may be old: nobody's fault.
			if (error instanceof ReplayedEnvelopeError || error instanceof EnvelopeTimeError) return;
			throw error;
		}
		const announcement = decodeCbor(announcementSchema, opened.payload, limits.announcementBytes);
		if (!announcement.rooms.includes(this.#init.room)) {
			throw new MalformedMessageError("An announcement names other rooms than the one it is spread in.");
		}
		if (opened.author === this.#init.peer.id) return;
		if (announcement.leaving) this.#forget(opened.author);
		else this.#keep({ ...announcement, peer: opened.author, announced: opened.time });
	}

	#keep(member: Member): void {
		if (!this.#entries.has(member.peer) && this.#entries.size >= mostMembers) return;
		this.#entries.set(member.peer, { member, heard: this.#awakeMs });
		this.#changed();
	}

	#forget(peer: string): void {
		if (this.#entries.delete(peer)) this.#changed();
	}

	#forgetExpired(): void {
		// While a device sleeps, or its only thread loads a model, nobody is heard: such a time counts for one repeat at most.
		const now = this.#now();
		this.#awakeMs += Math.min(Math.max(0, now - this.#lastSweep), repeatMs);
		this.#lastSweep = now;
		const oldest = this.#awakeMs - lifetimeMs;
		for (const [peer, { heard }] of this.#entries) {
			if (heard < oldest && !(peer === this.#init.peer.id && this.#own)) this.#forget(peer);
		}
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

/**
 * Joins the room's announcements and asks the relays who is there already.
 *
 * @example
 * ```ts
 * const directory = await createDirectory({ peer, signer, verifier, room: "public" });
 * directory.addEventListener("change", () => draw(directory.members));
 * ```
 */
export async function createDirectory(init: DirectoryInit): Promise<Directory> {
	const directory = new GossipDirectory(init);
	await directory.askForMembers();
	return directory;
}
