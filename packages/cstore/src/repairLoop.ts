/** How often a peer says what it keeps: often enough that a newcomer finds it at a relay (which remembers a minute) … */
const leastDigestMs = 20_000;
const mostDigestMs = 50_000;
/** … and more seldom the more peers there are, so that the room as a whole says two a second. */
const digestMsPerPeer = 500;
/** Who was not heard for this long is not asked: two digests and a half. */
const presentMs = 130_000;
/** Most peers remembered. */
const mostPeers = 5_000;
/** How long a difference may be gossip that is still on its way. */
const settleMs = 500;
/** Spread over which peers react to one event, so that they do not all do it at once. */
const spreadMs = 1_000;
/** Pause after a comparison that found nothing but what gossip was just bringing, or failed … */
const pauseMs = 5_000;
/** … and while that goes on: a room in which everybody writes never looks equal, and needs no repair. */
const mostPauseMs = 60_000;
/** How often a peer is chosen with which a connection stands. Now and then another one, or the room would fall into islands. */
const connectedShare = 0.8;

interface Known {
	heard: number;
	/** What it keeps, in hexadecimal digits; undefined before its first digest. */
	fingerprint: string | undefined;
	/** Not to be asked before. */
	after: number;
}

export interface RepairLoopInit {
	now: () => number;
	/** What we keep, in hexadecimal digits. */
	fingerprint: () => string;
	/** Says what we keep. */
	sayDigest: () => void;
	/** Whether a connection to this peer stands. */
	connected: (peer: string) => boolean;
	/** Compares with a peer; how many records differed that gossip should long have brought. Rejects where that was not possible. */
	compare: (peer: string) => Promise<number>;
	/** How long after a difference it is looked at, in milliseconds. @default 500 */
	settleMs?: number;
}

/** Decides when to say what we keep, and when to compare with whom. */
export class RepairLoop {
	readonly #init: RepairLoopInit;
	readonly #known = new Map<string, Known>();
	#digestTimer: ReturnType<typeof setTimeout> | undefined;
	#repairTimer: ReturnType<typeof setTimeout> | undefined;
	#lastDigest = Number.NEGATIVE_INFINITY;
	#stopped = false;
	#comparing = false;
	#pauseMs = pauseMs;

	constructor(init: RepairLoopInit) {
		this.#init = init;
	}

	start(): void {
		this.sayDigestSoon();
	}

	stop(): void {
		this.#stopped = true;
		clearTimeout(this.#digestTimer);
		clearTimeout(this.#repairTimer);
	}

	/** Peers heard lately, the last one first. */
	get present(): string[] {
		const oldest = this.#init.now() - presentMs;
		return [...this.#known]
			.filter(([, { heard }]) => heard >= oldest)
			.sort((a, b) => b[1].heard - a[1].heard)
			.map(([peer]) => peer);
	}

	/** A peer said something. */
	heard(peer: string, fingerprint?: string): void {
		const known = this.#known.get(peer);
		// Back to the end: the map is in the order in which peers were heard.
		this.#known.delete(peer);
		this.#known.set(peer, {
			heard: this.#init.now(),
			fingerprint: fingerprint ?? known?.fingerprint,
			after: known?.after ?? 0,
		});
		const [oldest] = this.#known.keys();
		if (this.#known.size > mostPeers && oldest !== undefined) this.#known.delete(oldest);
		if (fingerprint !== undefined && fingerprint !== this.#init.fingerprint())
			this.#repairAfter(this.#soon());
	}

	/** A peer has something that we could not get. */
	missed(peer: string): void {
		this.heard(peer, "");
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
		const wait = Math.max(Math.random() * spreadMs, this.#lastDigest + spreadMs - this.#init.now());
		this.#digestTimer = setTimeout(() => this.#sayDigest(), Math.min(wait, leastDigestMs));
	}

	/** A comparison with `peer` left both at the same state. */
	agreed(peer: string): void {
		this.heard(peer);
		this.#known.get(peer)!.fingerprint = this.#init.fingerprint();
	}

	#sayDigest(): void {
		this.#lastDigest = this.#init.now();
		this.#init.sayDigest();
		const every = Math.min(mostDigestMs, Math.max(leastDigestMs, this.#known.size * digestMsPerPeer));
		// A tenth of chance keeps peers that came together from speaking together for ever.
		this.#digestTimer = setTimeout(() => this.#sayDigest(), every * (0.9 + 0.1 * Math.random()));
	}

	#soon(): number {
		return (this.#init.settleMs ?? settleMs) + Math.random() * spreadMs;
	}

	#repairAfter(ms: number): void {
		if (this.#stopped || this.#comparing) return;
		this.#repairTimer ??= setTimeout(() => {
			this.#repairTimer = undefined;
			void this.#repair();
		}, ms);
	}

	async #repair(): Promise<void> {
		const now = this.#init.now();
		const ours = this.#init.fingerprint();
		const present = new Set(this.present);
		const differing = [...this.#known].filter(
			([peer, { fingerprint }]) => present.has(peer) && fingerprint !== undefined && fingerprint !== ours,
		);
		const ready = differing.filter(([, { after }]) => after <= now);
		const near = ready.filter(([peer]) => this.#init.connected(peer));
		const from = near.length > 0 && Math.random() < connectedShare ? near : ready;
		const chosen = from[Math.floor(Math.random() * from.length)];
		if (!chosen) {
			if (differing.length > 0) this.#repairAfter(pauseMs);
			return;
		}
		const [peer, known] = chosen;
		this.#comparing = true;
		let next = this.#pauseMs;
		try {
			const differed = await this.#init.compare(peer);
			if (differed > 0) next = this.#soon();
			this.#pauseMs = differed > 0 ? pauseMs : Math.min(mostPauseMs, this.#pauseMs * 2);
		} catch {
			// Busy or gone. Others may have time.
			known.after = this.#init.now() + pauseMs * (0.5 + Math.random());
			const current = this.#known.get(peer);
			if (current) current.after = known.after;
			next = this.#soon();
		}
		this.#comparing = false;
		this.#repairAfter(next);
	}
}
