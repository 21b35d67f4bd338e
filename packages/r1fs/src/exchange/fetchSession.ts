import type { Peer } from "@tabmesh/transport";
import { FileNotFoundError } from "@tabmesh/wire";
import { blockLimits } from "../blockLimits.ts";
import { blockKey, verifyBlock } from "../cid.ts";
import type { Providers } from "../providers.ts";
import type { Want } from "../readFile.ts";
import { BlockMissing, type BlockSource } from "./blockSource.ts";
import { createHttpSource, type HttpOrigin } from "./httpSource.ts";
import { createPeerSource } from "./peerSource.ts";

export interface FetchSessionInit {
	/** The file, for whoever knows providers. */
	root: string;
	peer?: Peer;
	providers?: Providers;
	origins?: readonly HttpOrigin[];
	/** Names of sources that gave wrong bytes once; shared by all sessions of a room. */
	refused: Set<string>;
	/** Told of every block that was right, by its key. */
	onReceived?: (source: string, bytes: number, key: string) => void;
	/** Told of a source that gave bytes with a wrong hash. */
	onRefused?: (source: string) => void;
	/** Without any new block for this long, what is wanted is given up. */
	patienceMs: number;
}

/** What a source did in a session. */
export interface SourceView {
	/** Peer id or origin. */
	readonly name: string;
	/** Bytes of blocks that were right. */
	readonly bytes: number;
	/** Measured over the last blocks; undefined before the first. */
	readonly bytesPerSecond: number | undefined;
	/** Refused since it gave bytes with a wrong hash. */
	readonly refused: boolean;
}

interface Job {
	readonly want: Want;
	readonly key: string;
	readonly promise: Promise<Uint8Array>;
	readonly resolve: (bytes: Uint8Array) => void;
	readonly reject: (error: Error) => void;
	/** Callers that have not given it up. */
	callers: number;
	readonly attempts: Map<Source, { controller: AbortController; startedAt: number }>;
	/** Since when every source that is here has said that it has not got it. */
	exhaustedAt: number | undefined;
}

interface Source {
	readonly source: BlockSource;
	readonly inFlight: Set<Job>;
	readonly missing: WeakSet<Job>;
	/** Expected bytes of the jobs in flight. */
	inFlightBytes: number;
	/** Bytes of its last blocks, and the milliseconds in which it was busy with them. */
	lastBytes: number;
	lastMs: number;
	/** Bytes per millisecond of those; 0 before the first block. */
	rate: number;
	/** When its last answer came. */
	heardAt: number;
	bytes: number;
	failures: number;
	/** Blocks it had not got, one after the other. */
	absences: number;
	/** It is not asked before this time. */
	restsUntil: number;
}

/** Sources of one file at once: more than these only divide the same downlink. */
const sourcesAtOnce = 32;

/** Work under way at a source: this much time of its measured speed, so that its line never runs dry and a late one holds little. */
const aheadMs = 400;

/** However slow it is, and before it is measured: one block to measure and one behind it. */
const firstInFlight = 2;

/** How much of what was measured still counts after another block: the last three or four decide. */
const remembered = 0.7;

/** What a block is expected to have whose length is not known: a node of the tree with all of its 1,024 links. */
const nodeBytes = 60 * 1024;

/** How often deadlines are looked at. */
const tickMs = 250;

/** A want is given to a second source when its first was silent for three times what a block of it takes, within these bounds. */
const deadlineMs = { least: 2_000, unmeasured: 3_000, most: 10_000 };

/**
 * Wants given to a second source although the first is only slow: this share of all, and a few at the start. What comes
 * twice takes room on the same downlink, so racing without a bound would make slow what it should make fast.
 */
const repeatShare = 0.03;
const repeatsAtLeast = 2;

/** A second source must be expected to give a block in half the time, and this much sooner. */
const soonerMs = 500;

/** A source that says nothing at all for this long is reported and rests. 2 MiB on a phone's 2 Mbit/s need nine seconds. */
const silentMs = 20_000;

const restMs = { first: 1_000, most: 30_000 };

/** After so many blocks that it had not got, a source is asked again later: it may be fetching the file itself. */
const absencesInARow = 8;

const rediscoverMs = 5_000;

/** Providers are found in this time, or the peers that are connected anyway are asked. */
const providersFirstMs = 1_500;

/**
 * Fetches the blocks of one file from several sources at once.
 *
 * Each source gets as much work as its measured speed deserves; a want that is late is given to a second one, and a source
 * with nothing left to do races the slowest. The first right block wins and the others are cancelled. A source that gives
 * a wrong block is reported, refused and asked no more; its wants go to the others.
 */
export class FetchSession {
	readonly #init: FetchSessionInit;
	readonly #jobs = new Map<string, Job>();
	/** Jobs that no source is working on, in the order they are wanted. */
	#pending: Job[] = [];
	readonly #sources = new Map<string, Source>();
	readonly #refused: SourceView[] = [];
	readonly #closing = new AbortController();
	#timer: ReturnType<typeof setInterval> | undefined;
	#progressAt = 0;
	/** Blocks that came, and those that were asked for twice. */
	#received = 0;
	#repeated = 0;
	#discovering = false;
	#discoveredAt = Number.NEGATIVE_INFINITY;

	constructor(init: FetchSessionInit) {
		this.#init = init;
		for (const origin of init.origins ?? []) this.#add(createHttpSource(origin));
	}

	/**
	 * A block with the right hash. Wants for the same block are one want; it is let go of when all of its callers have
	 * given it up.
	 *
	 * @throws FileNotFoundError when nobody gave it in time, the signal's reason
	 */
	fetch(want: Want, signal?: AbortSignal): Promise<Uint8Array> {
		if (signal?.aborted) return Promise.reject(signal.reason);
		const job = this.#jobOf(want);
		job.callers++;
		if (!signal) return job.promise;
		return new Promise((resolve, reject) => {
			const giveUp = (): void => {
				reject(signal.reason);
				if (--job.callers === 0 && this.#jobs.get(job.key) === job) this.#fail(job, signal.reason);
			};
			signal.addEventListener("abort", giveUp, { once: true });
			job.promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", giveUp));
		});
	}

	#jobOf(want: Want): Job {
		const key = blockKey(want.cid);
		const known = this.#jobs.get(key);
		if (known) return known;
		const { promise, resolve, reject } = Promise.withResolvers<Uint8Array>();
		const job: Job = {
			want,
			key,
			promise,
			resolve,
			reject,
			callers: 0,
			attempts: new Map(),
			exhaustedAt: undefined,
		};
		if (this.#closing.signal.aborted) {
			reject(this.#closing.signal.reason);
			return job;
		}
		if (this.#jobs.size === 0) this.#progressAt = performance.now();
		this.#jobs.set(key, job);
		this.#pending.push(job);
		this.#timer ??= setInterval(() => this.#tick(), tickMs);
		if (this.#discoveredAt === Number.NEGATIVE_INFINITY) this.#discover();
		this.#pump();
		return job;
	}

	/** What each source gave so far. */
	view(): SourceView[] {
		return [...[...this.#sources.values()].map((source) => viewOf(source, false)), ...this.#refused];
	}

	/** Cancels what is under way and lets the sources go. */
	close(reason: Error = new FileNotFoundError("The file is not fetched any more.")): void {
		if (this.#closing.signal.aborted) return;
		this.#closing.abort(reason);
		clearInterval(this.#timer);
		for (const job of [...this.#jobs.values()]) this.#fail(job, reason);
		for (const { source } of this.#sources.values()) source.close();
	}

	// Sources

	#add(source: BlockSource): void {
		if (
			this.#closing.signal.aborted ||
			this.#sources.has(source.name) ||
			this.#init.refused.has(source.name) ||
			this.#sources.size >= sourcesAtOnce
		) {
			source.close();
			return;
		}
		this.#sources.set(source.name, {
			source,
			inFlight: new Set(),
			missing: new WeakSet(),
			inFlightBytes: 0,
			lastBytes: 0,
			lastMs: 0,
			rate: 0,
			heardAt: 0,
			bytes: 0,
			failures: 0,
			absences: 0,
			restsUntil: 0,
		});
		for (const job of this.#jobs.values()) job.exhaustedAt = undefined;
		this.#pump();
	}

	#addPeer(remote: string): void {
		const { peer } = this.#init;
		if (!peer || remote === peer.id || this.#sources.has(remote)) return;
		this.#add(createPeerSource(peer, remote));
	}

	#discover(): void {
		if (this.#discovering) return;
		this.#discovering = true;
		this.#discoveredAt = performance.now();
		const search = this.#find();
		void search.finally(() => {
			this.#discovering = false;
			this.#tick();
		});
	}

	async #find(): Promise<void> {
		const { providers, peer } = this.#init;
		const connected = (): void => {
			for (const { peer: remote, path } of peer?.connections ?? []) {
				if (path === "direct" || path === "turn") this.#addPeer(remote);
			}
		};
		if (!providers) return connected();
		const timer = setTimeout(connected, providersFirstMs);
		try {
			const signal = AbortSignal.any([this.#closing.signal, AbortSignal.timeout(this.#init.patienceMs)]);
			for await (const provider of providers.find(this.#init.root, { signal })) {
				if (signal.aborted) break;
				if ("peer" in provider) this.#addPeer(provider.peer);
				else this.#add(createHttpSource(provider.origin));
			}
		} catch {
			// Whoever looks for providers may fail; the sources that are known remain.
		} finally {
			clearTimeout(timer);
		}
		connected();
	}

	#refuse(source: Source): void {
		const { name } = source.source;
		this.#init.refused.add(name);
		this.#refused.push(viewOf(source, true));
		this.#sources.delete(name);
		this.#release(source);
		source.source.accuse("wrong-bytes");
		source.source.close();
		this.#init.onRefused?.(name);
	}

	#rest(source: Source): void {
		source.failures++;
		source.restsUntil = performance.now() + Math.min(restMs.most, restMs.first * 2 ** (source.failures - 1));
		this.#release(source);
	}

	/** Takes all work from a source and queues it again. */
	#release(source: Source): void {
		for (const job of [...source.inFlight]) {
			const attempt = job.attempts.get(source);
			this.#ended(source, job);
			attempt?.controller.abort();
		}
	}

	// Work

	#pump(): void {
		if (this.#closing.signal.aborted) return;
		const now = performance.now();
		const usable = [...this.#sources.values()]
			.filter((source) => source.restsUntil <= now)
			.sort((a, b) => (b.rate || Number.POSITIVE_INFINITY) - (a.rate || Number.POSITIVE_INFINITY));
		for (const source of usable) {
			if (hasRoom(source)) this.#relieve(source, now);
			for (let at = 0; hasRoom(source) && at < this.#pending.length; ) {
				const job = this.#pending[at]!;
				if (source.missing.has(job) || !source.source.offers(job.want)) {
					at++;
					continue;
				}
				this.#pending.splice(at, 1);
				this.#attempt(source, job);
			}
		}
		for (const source of usable) if (source.inFlight.size === 0 && source.rate > 0) this.#race(source, now);
	}

	/** The reader waits for the first of all wants: a source that will give it much sooner takes it over. */
	#relieve(source: Source, now: number): void {
		const [first] = this.#jobs.values();
		if (first && this.#mayRepeat(source, first) && isSooner(source, first, now)) this.#repeat(source, first);
	}

	/** An idle source takes the want that will be given last of all, if it will give it much sooner. */
	#race(source: Source, now: number): void {
		let chosen: Job | undefined;
		let longest = 0;
		for (const job of this.#jobs.values()) {
			if (!this.#mayRepeat(source, job) || !isSooner(source, job, now)) continue;
			const due = dueMs(job, now);
			if (due <= longest) continue;
			longest = due;
			chosen = job;
		}
		if (chosen) this.#repeat(source, chosen);
	}

	/** Whether a want that one source is working on may be given to this one, too. */
	#mayRepeat(source: Source, job: Job): boolean {
		return (
			source.rate > 0 &&
			job.attempts.size === 1 &&
			!job.attempts.has(source) &&
			!source.missing.has(job) &&
			source.source.offers(job.want) &&
			this.#repeated < repeatsAtLeast + this.#received * repeatShare
		);
	}

	#repeat(source: Source, job: Job): void {
		this.#repeated++;
		this.#attempt(source, job);
	}

	#attempt(source: Source, job: Job): void {
		const controller = new AbortController();
		const startedAt = performance.now();
		job.attempts.set(source, { controller, startedAt });
		job.exhaustedAt = undefined;
		source.inFlight.add(job);
		source.inFlightBytes += bytesOf(job);
		source.source.fetch(job.want, controller.signal).then(
			(bytes) => this.#arrived(source, job, bytes, startedAt),
			(error) => this.#failed(source, job, controller.signal, error),
		);
	}

	async #arrived(source: Source, job: Job, bytes: Uint8Array, startedAt: number): Promise<void> {
		const now = performance.now();
		const elapsed = Math.max(0.1, now - Math.max(startedAt, source.heardAt));
		// Bytes over time, not the mean of rates: the few bytes of a root say how far away a source is, not how fast.
		source.lastBytes = source.lastBytes * remembered + bytes.byteLength;
		source.lastMs = source.lastMs * remembered + elapsed;
		source.rate = source.lastBytes / source.lastMs;
		source.heardAt = now;
		const stillWanted = this.#jobs.get(job.key) === job;
		this.#ended(source, job, false);
		// The hash takes milliseconds: the source gets its next work meanwhile.
		this.#pump();
		try {
			if (bytes.byteLength > blockLimits.blockBytes) throw new RangeError("longer than any block");
			await verifyBlock(job.want.cid, bytes);
		} catch {
			if (this.#sources.get(source.source.name) === source) this.#refuse(source);
			this.#requeue(job);
			this.#pump();
			return;
		}
		source.failures = 0;
		source.absences = 0;
		if (!stillWanted || this.#jobs.get(job.key) !== job) return;
		source.bytes += bytes.byteLength;
		this.#received++;
		this.#progressAt = now;
		this.#jobs.delete(job.key);
		const others = [...job.attempts];
		job.attempts.clear();
		for (const [other, { controller }] of others) {
			letGo(other, job);
			controller.abort();
		}
		this.#pending = this.#pending.filter((waiting) => waiting !== job);
		this.#init.onReceived?.(source.source.name, bytes.byteLength, job.key);
		job.resolve(bytes);
		this.#stopWhenIdle();
		this.#pump();
	}

	#failed(source: Source, job: Job, signal: AbortSignal, error: unknown): void {
		if (signal.aborted) return;
		source.heardAt = performance.now();
		this.#ended(source, job);
		if (error instanceof BlockMissing) {
			source.missing.add(job);
			if (++source.absences >= absencesInARow && source.bytes === 0) {
				source.absences = 0;
				source.restsUntil = performance.now() + rediscoverMs;
			}
		} else {
			this.#rest(source);
		}
		this.#pump();
	}

	/** A source does not work on a job any more; the job waits again if nobody else does. */
	#ended(source: Source, job: Job, again = true): void {
		letGo(source, job);
		job.attempts.delete(source);
		if (again) this.#requeue(job);
	}

	#requeue(job: Job): void {
		if (job.attempts.size === 0 && this.#jobs.get(job.key) === job && !this.#pending.includes(job)) {
			this.#pending.unshift(job);
		}
	}

	#fail(job: Job, error: Error): void {
		this.#jobs.delete(job.key);
		this.#pending = this.#pending.filter((waiting) => waiting !== job);
		for (const [source, { controller }] of job.attempts) {
			letGo(source, job);
			controller.abort();
		}
		job.attempts.clear();
		job.reject(error);
		this.#stopWhenIdle();
	}

	#stopWhenIdle(): void {
		if (this.#jobs.size > 0) return;
		clearInterval(this.#timer);
		this.#timer = undefined;
	}

	// Deadlines

	#tick(): void {
		if (this.#jobs.size === 0 || this.#closing.signal.aborted) return;
		const now = performance.now();
		for (const source of [...this.#sources.values()]) this.#watch(source, now);
		this.#pump();
		const idle = [...this.#sources.values()].every((source) => source.inFlight.size === 0);
		if (idle && !this.#discovering && now - this.#discoveredAt > rediscoverMs) this.#discover();
		for (const job of [...this.#jobs.values()]) {
			const absent = [...this.#sources.values()].every(
				(source) => source.missing.has(job) || !source.source.offers(job.want),
			);
			if (!absent || job.attempts.size > 0) {
				job.exhaustedAt = undefined;
				continue;
			}
			job.exhaustedAt ??= now;
			// Without any source there is nothing to wait for; those that are here may be fetching the file themselves.
			const waited = this.#sources.size === 0 || now - job.exhaustedAt > rediscoverMs;
			if (waited && !this.#discovering) this.#fail(job, this.#notFound(job));
		}
		if (now - this.#progressAt > this.#init.patienceMs) {
			for (const job of [...this.#jobs.values()]) this.#fail(job, this.#notFound(job));
		}
	}

	#watch(source: Source, now: number): void {
		for (const job of [...source.inFlight]) {
			const attempt = job.attempts.get(source);
			if (!attempt) continue;
			if (now - Math.max(attempt.startedAt, source.heardAt) > silentMs) {
				source.source.accuse("timeout");
				this.#rest(source);
				return;
			}
			if (
				job.attempts.size > 1 ||
				now - Math.max(attempt.startedAt, source.heardAt) < deadlineOf(source, job)
			)
				continue;
			const second = [...this.#sources.values()]
				.filter(
					(other) =>
						other !== source &&
						other.restsUntil <= now &&
						!other.missing.has(job) &&
						other.source.offers(job.want) &&
						hasRoom(other),
				)
				.sort((a, b) => b.rate - a.rate)[0];
			if (second) this.#attempt(second, job);
		}
	}

	#notFound(job: Job): FileNotFoundError {
		const asked = this.view();
		return new FileNotFoundError(
			asked.length === 0
				? `Nobody who is here has ${this.#init.root}.`
				: `None of the ${asked.length} sources that are here gave a block of ${this.#init.root} in time.`,
			{
				metaMessages: ["Try again when a peer that has the file is online, or give an origin on the web."],
				details: { cid: this.#init.root, block: job.want.cid.toString(), sources: asked.length },
			},
		);
	}
}

function letGo(source: Source, job: Job): void {
	if (source.inFlight.delete(job)) source.inFlightBytes -= bytesOf(job);
}

function bytesOf({ want }: Job): number {
	return want.size ?? nodeBytes;
}

/** Milliseconds until the one source that works on a job will have given it: what is ahead of it there, or as long as it has been silent. */
function dueMs(job: Job, now: number): number {
	const [source, { startedAt }] = [...job.attempts][0]!;
	const silent = now - Math.max(startedAt, source.heardAt);
	if (source.rate === 0) return silent;
	let bytes = 0;
	for (const ahead of source.inFlight) {
		bytes += bytesOf(ahead);
		if (ahead === job) break;
	}
	return Math.max(silent, bytes / source.rate);
}

function isSooner(source: Source, job: Job, now: number): boolean {
	const ours = (source.inFlightBytes + bytesOf(job)) / source.rate;
	return dueMs(job, now) > 2 * ours + soonerMs;
}

/** Whether a source may be given one block more. */
function hasRoom(source: Source): boolean {
	const { size } = source.inFlight;
	if (size < Math.min(firstInFlight, source.source.maxInFlight)) return true;
	return size < source.source.maxInFlight && source.inFlightBytes < source.rate * aheadMs;
}

function deadlineOf(source: Source, job: Job): number {
	if (source.rate === 0) return deadlineMs.unmeasured;
	return Math.min(deadlineMs.most, Math.max(deadlineMs.least, (3 * bytesOf(job)) / source.rate));
}

function viewOf(source: Source, refused: boolean): SourceView {
	return {
		name: source.source.name,
		bytes: source.bytes,
		bytesPerSecond: source.rate > 0 ? Math.round(source.rate * 1000) : undefined,
		refused,
	};
}
