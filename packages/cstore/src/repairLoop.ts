import { AwakeClock } from "./awakeClock.ts";

/** How often a peer says what it keeps: often enough that a newcomer finds it at a relay (which remembers a minute) … */
const leastDigestMs = 20_000;
/** … twice as often where what it says is that it is here … */
const leastPresenceMs = 10_000;
const mostDigestMs = 50_000;
/** … and more seldom the more there are of them, so that the room as a whole says two a second. */
const digestMsEach = 500;
/** Who was not heard for so many of its periods, and this delay, is not here any more: two digests missed. */
const periodsOfSilence = 2.5;
const delayMs = 10_000;
/** How often we look for whom we have not heard. */
const sweepEveryMs = 2_000;
/** Most peers remembered. */
const mostPeers = 5_000;
/** How long a difference may be gossip that is still on its way. */
const settleMs = 500;
/** Who keeps what we kept so long ago is about to get the rest by gossip; if not, its next digest tells. */
const behindMs = 10_000;
/** What we kept before that many changes is not remembered. */
const mostStates = 256;
/** Spread over which peers react to one event, so that they do not all do it at once. */
const spreadMs = 1_000;
/** Pause after a comparison that found nothing but what gossip was just bringing, or failed … */
const pauseMs = 5_000;
/** … and while that goes on: a room in which everybody writes never looks equal, and needs no repair. */
const mostPauseMs = 60_000;
/** How often a peer is chosen with which a connection stands. Now and then another one, or the room would fall into islands. */
const connectedShare = 0.8;

/** What a peer said. */
export interface Sign {
	/** By its author's hybrid clock. */
	readonly stamp: number;
	/** How long ago that was; 0 for what comes by gossip. */
	readonly ageMs: number;
	/** Present in a digest: how much its author keeps. */
	readonly records?: number;
	/** What its author keeps, in hexadecimal digits, where that is still worth a comparison. */
	readonly fingerprint?: string;
}

interface Known {
	/** By the time that we have been awake, like all times here. */
	heard: number;
	stamp: number;
	present: boolean;
	records: number | undefined;
	/** What it keeps, in hexadecimal digits; undefined before its first digest. */
	fingerprint: string | undefined;
	/** Not to be asked before. */
	after: number;
	/** The stamp after which it was said to be gone; whatever is newer says that it is not. */
	gone: number;
}

/** A peer that said nothing yet. */
const unheard: Known = {
	heard: Number.NEGATIVE_INFINITY,
	stamp: Number.NEGATIVE_INFINITY,
	present: false,
	records: undefined,
	fingerprint: undefined,
	after: 0,
	gone: Number.NEGATIVE_INFINITY,
};

export interface RepairLoopInit {
	/** Milliseconds since 1970. */
	now: () => number;
	/** Whether digests say first of all who is here. Only authors say them then, and say them more often. */
	presence: boolean;
	/** What we keep, in hexadecimal digits. */
	fingerprint: () => string;
	/** Records that we keep. */
	records: () => number;
	/** Says what we keep. */
	sayDigest: () => void;
	/** Whether a connection to this peer stands. */
	connected: (peer: string) => boolean;
	/** Compares with a peer; how many records differed that gossip should long have brought. Rejects where that was not possible. */
	compare: (peer: string) => Promise<number>;
	/** A peer came, or was not heard any more. */
	onPresence: (peer: string, present: boolean) => void;
}

/** Decides when to say what we keep, who is here, and when to compare with whom. */
export class RepairLoop {
	readonly #init: RepairLoopInit;
	readonly #clock: AwakeClock;
	readonly #known = new Map<string, Known>();
	/** What we kept lately, and until when. */
	readonly #past = new Map<string, number>();
	#kept: string;
	#sweep: ReturnType<typeof setInterval> | undefined;
	#digestTimer: ReturnType<typeof setTimeout> | undefined;
	#repairTimer: ReturnType<typeof setTimeout> | undefined;
	#lastDigest = Number.NEGATIVE_INFINITY;
	#stopped = false;
	#comparing = false;
	#pauseMs = pauseMs;

	constructor(init: RepairLoopInit) {
		this.#init = init;
		this.#clock = new AwakeClock(init.now);
		this.#kept = init.fingerprint();
	}

	start(): void {
		this.#sweep = setInterval(() => this.#forgetSilent(), sweepEveryMs);
		// What a peer writes when it comes says that it is here.
		if (this.#init.presence) this.#sayDigestLater();
		else this.sayDigestSoon();
	}

	stop(): void {
		this.#stopped = true;
		clearInterval(this.#sweep);
		clearTimeout(this.#digestTimer);
		clearTimeout(this.#repairTimer);
	}

	/** Peers heard lately, the last one first. */
	get present(): string[] {
		return [...this.#known]
			.filter(([, { present }]) => present)
			.sort((a, b) => b[1].heard - a[1].heard)
			.map(([peer]) => peer);
	}

	/** A peer said something, and its signature holds. An old copy of it is no sign that it is here. */
	heard(peer: string, { stamp, ageMs, records, fingerprint }: Sign): void {
		const known = this.#known.get(peer) ?? unheard;
		if (stamp <= known.stamp) return;
		const now = this.#clock.now();
		const next: Known = {
			...known,
			heard: Math.max(known.heard, now - ageMs),
			stamp,
			records: records ?? known.records,
			fingerprint: fingerprint ?? known.fingerprint,
		};
		this.#put(peer, next);
		if (!next.present && this.#lives(peer, next, now)) {
			next.present = true;
			this.#init.onPresence(peer, true);
		}
		if (fingerprint !== undefined && this.#differs(next)) this.#repairAfter(this.#soon());
	}

	/** Somebody whom we believe says that a peer is gone since it said `stamp`. Whom we are connected to is not gone. */
	gone(peer: string, stamp: number): void {
		const known = this.#known.get(peer);
		if (known && known.stamp > stamp) return;
		if (known) known.gone = stamp;
		// What it said may come yet, from a relay's memory.
		else this.#put(peer, { ...unheard, gone: stamp });
		this.#forgetSilent();
	}

	/** A peer has something that we could not get. */
	missed(peer: string): void {
		const known = this.#known.get(peer);
		if (!known) return;
		known.fingerprint = "";
		this.#repairAfter(this.#soon());
	}

	/** What we keep has changed. */
	changed(): void {
		const kept = this.#init.fingerprint();
		if (kept === this.#kept) return;
		this.#past.delete(this.#kept);
		this.#past.set(this.#kept, this.#clock.now());
		this.#kept = kept;
		const [oldest] = this.#past.keys();
		if (this.#past.size > mostStates && oldest !== undefined) this.#past.delete(oldest);
	}

	/** A way to others that were out of reach is open again: what differs now is no gossip on its way. */
	reunited(): void {
		this.#pauseMs = pauseMs;
		clearTimeout(this.#repairTimer);
		this.#repairTimer = undefined;
		this.sayDigestSoon();
	}

	/** Something happened that others should know soon: we came, a comparison brought news. */
	sayDigestSoon(): void {
		if (this.#stopped) return;
		clearTimeout(this.#digestTimer);
		const wait = Math.max(Math.random() * spreadMs, this.#lastDigest + spreadMs - this.#clock.now());
		this.#digestTimer = setTimeout(() => this.#sayDigest(), Math.min(wait, leastDigestMs));
	}

	/** A comparison with `peer` left both at the same state. */
	agreed(peer: string): void {
		const known = this.#known.get(peer);
		if (known) known.fingerprint = this.#init.fingerprint();
	}

	#sayDigest(): void {
		this.#lastDigest = this.#clock.now();
		this.#init.sayDigest();
		this.#sayDigestLater();
	}

	#sayDigestLater(): void {
		// A tenth of chance keeps peers that came together from speaking together for ever.
		const every = this.#periodMs(this.#init.records()) * (0.9 + 0.1 * Math.random());
		this.#digestTimer = setTimeout(() => this.#sayDigest(), every);
	}

	/** How often a peer speaks that keeps so many records: where authors alone speak, there are no more of them than that. */
	#periodMs(records: number): number {
		const [least, speakers] = this.#init.presence
			? [leastPresenceMs, records]
			: [leastDigestMs, this.#known.size];
		return Math.min(mostDigestMs, Math.max(least, speakers * digestMsEach));
	}

	/** Nobody says how often it speaks; in a room where only authors do, what it keeps tells. */
	#lives(peer: string, { heard, records, stamp, gone }: Known, now: number): boolean {
		if (gone >= stamp && !this.#init.connected(peer)) return false;
		const period = this.#init.presence ? this.#periodMs(records ?? this.#init.records()) : mostDigestMs;
		return heard >= now - periodsOfSilence * period - delayMs;
	}

	#forgetSilent(): void {
		const now = this.#clock.now();
		for (const [peer, known] of this.#known) {
			if (!known.present || this.#lives(peer, known, now)) continue;
			known.present = false;
			this.#init.onPresence(peer, false);
		}
	}

	#put(peer: string, known: Known): void {
		// Back to the end: the map is in the order in which peers were heard.
		this.#known.delete(peer);
		this.#known.set(peer, known);
		const [oldest] = this.#known;
		if (this.#known.size <= mostPeers || oldest === undefined) return;
		this.#known.delete(oldest[0]);
		if (oldest[1].present) this.#init.onPresence(oldest[0], false);
	}

	/** Whether a peer lacks, or has, what gossip will not bring: it keeps neither what we keep nor what we kept a moment ago. */
	#differs({ fingerprint, heard }: Known): boolean {
		if (fingerprint === undefined || fingerprint === this.#init.fingerprint()) return false;
		return (this.#past.get(fingerprint) ?? Number.NEGATIVE_INFINITY) < heard - behindMs;
	}

	#soon(): number {
		return settleMs + Math.random() * spreadMs;
	}

	#repairAfter(ms: number): void {
		if (this.#stopped || this.#comparing) return;
		this.#repairTimer ??= setTimeout(() => {
			this.#repairTimer = undefined;
			void this.#repair();
		}, ms);
	}

	async #repair(): Promise<void> {
		const now = this.#clock.now();
		const present = [...this.#known].filter(([, known]) => known.present);
		const differing = present.filter(([, known]) => this.#differs(known));
		if (differing.length === 0) return;
		// Where one peer is behind, it alone should ask; where two halves met, half of all peers should.
		const mine = Math.random() < differing.length / present.length;
		const ready = mine ? differing.filter(([, { after }]) => after <= now) : [];
		const near = ready.filter(([peer]) => this.#init.connected(peer));
		const from = near.length > 0 && Math.random() < connectedShare ? near : ready;
		const chosen = from[Math.floor(Math.random() * from.length)];
		if (!chosen) return this.#repairAfter(pauseMs);
		const [peer, known] = chosen;
		this.#comparing = true;
		let next = this.#pauseMs;
		try {
			const differed = await this.#init.compare(peer);
			if (differed > 0) next = this.#soon();
			this.#pauseMs = differed > 0 ? pauseMs : Math.min(mostPauseMs, this.#pauseMs * 2);
		} catch {
			// Busy or gone. Others may have time.
			known.after = this.#clock.now() + pauseMs * (0.5 + Math.random());
			const current = this.#known.get(peer);
			if (current) current.after = known.after;
			next = this.#soon();
		}
		this.#comparing = false;
		this.#repairAfter(next);
	}
}
