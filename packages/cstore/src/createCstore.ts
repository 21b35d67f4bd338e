import { bytesToHex } from "@noble/hashes/utils.js";
import { type PeerIdentity, presentCapability, publicKeyFromPeerId } from "@tabmesh/dauth";
import type { MessageStream, Peer, Topic } from "@tabmesh/transport";
import {
	AuthorQuotaError,
	CapabilityError,
	type CstoreRecord,
	EnvelopeTimeError,
	InvalidParameterError,
	InvalidSignatureError,
	limits,
	MalformedMessageError,
	MessageTooLargeError,
	ProtocolViolationError,
	StorageQuotaError,
	StoreBusyError,
	TabmeshError,
	WriteQuorumError,
} from "@tabmesh/wire";
import { TypedEventEmitter } from "main-event";
import type {
	Ack,
	Change,
	Cstore,
	CstoreEvents,
	Entry,
	RecordView,
	RepairReport,
	Traffic,
	Transaction,
	WriteOptions,
	Written,
} from "./cstore.ts";
import { answerExchange, compare, Exchange, type Shelf, servePlace } from "./exchange.ts";
import { GossipQueue } from "./gossipQueue.ts";
import { HybridClock, stampOf, timeOf } from "./hybridClock.ts";
import {
	capabilityName,
	checkedField,
	keyOf,
	parseKey,
	parseOwnKey,
	placeOf,
	slotOf,
	space,
} from "./keySpace.ts";
import { Membership } from "./membership.ts";
import {
	type Intent,
	isKeptBy,
	layOut,
	placeTag,
	type ReadEnvelope,
	readEnvelope,
	type StoredRecord,
	sealPayload,
	signKept,
	toRecord,
	valuesBeside,
} from "./record.ts";
import type { RecordStore } from "./recordStore.ts";
import { RepairLoop } from "./repairLoop.ts";
import { type Merged, Replica } from "./replica.ts";
import { decodeValue, encodeValue } from "./value.ts";
import { WriteBehind } from "./writeBehind.ts";

const KiB = 1024;
const MiB = 1024 * KiB;
const hourMs = 3_600_000;

/** A month: a device that slept through its owner's holiday is still understood. */
const defaultRetentionMs = 30 * 24 * hourMs;
/** Clocks of devices that nobody sets; the same as for envelopes. */
const maxAheadMs = 2 * 60_000;
/** What one author may keep on every device of a room. */
const defaultAuthorBytes = MiB;
const defaultAuthorRecords = 4_096;
/** What a room may keep on one device: 64 authors that use all of theirs, or 100,000 small entries. */
const defaultBudgetBytes = 64 * MiB;
/** How long peers have to sign that they keep a write. */
const ackTimeoutMs = 15_000;
/** Peers asked beyond those needed, so that a few who just left do not hold everybody up. */
const spareAsks = 3;
/** How long one comparison may take: 64 MB on a slow line would, and the next one goes on. */
const compareTimeoutMs = 120_000;
/** Records of authors whose capability has not come yet, and their bytes. */
const strangersAtMost = 256;
const strangerBytes = MiB;
/** Values fetched at once because they did not fit into a gossip message. */
const fetchesAtOnce = 4;
/** Renewed when so much of its time is over, or a member would fall out of the room between two visits. */
const renewAfter = 0.5;

/** Oldest message that says that its author is here: what is replayed later only was true. The same as for envelopes. */
const maxAgeMs = 5 * 60_000;
/** How long a peer that is said to be gone may take to answer over a connection that stands. */
const answerMs = 3_000;
/** How long what was written last may take to leave when the store stops. */
const farewellMs = 1_000;

/** The gossip topic on which the state of `room`, or of a part of it, is spread. */
export function cstoreTopic(room: string, part?: string): string {
	return `tabmesh/cstore/1/${placeOf(room, part)}`;
}

export interface CstoreInit {
	peer: Peer;
	identity: PeerIdentity;
	room: string;
	/** A part of the room's state that is kept, signed and spread apart from the rest, with its own retention and quota. */
	part?: string;
	/**
	 * Whether the part says who is here rather than what is known. Then only who has written something speaks, and more
	 * often; and what relays remember is taken for all there is, so that whoever only looks calls nobody.
	 * @default false
	 */
	presence?: boolean;
	/** See `openRecordStore`. It is closed by whoever opened it. */
	store: RecordStore;
	/** In a private room: an invitation to it, with or without its secret. The owner needs none. */
	capability?: string;
	/** Whether the link of a capability with this id was revoked. */
	revoked?: (id: string) => boolean;
	/**
	 * How long every record lives, deletions included, in milliseconds; the same for all peers of a room.
	 * @default 30 days
	 */
	retentionMs?: number;
	/** What one author may have; the same for all peers of a room. @default 1 MiB in 4,096 records */
	quota?: { bytes: number; records: number };
	/** What all authors together may take on this device, in bytes. @default 64 MiB */
	budgetBytes?: number;
	/** Milliseconds since 1970. @default Date.now */
	now?: () => number;
}

interface Watcher {
	prefix: string;
	listener: (changes: readonly Change[]) => void;
}

class RoomStore extends TypedEventEmitter<CstoreEvents> implements Cstore {
	readonly room: string;
	readonly #init: CstoreInit;
	readonly #place: string;
	readonly #presence: boolean;
	readonly #peer: Peer;
	readonly #identity: PeerIdentity;
	readonly #now: () => number;
	readonly #tag: Uint8Array;
	readonly #retentionMs: number;
	readonly #quota: { bytes: number; records: number };
	readonly #budgetBytes: number;
	readonly #clock: HybridClock;
	readonly #replica = new Replica();
	readonly #membership: Membership;
	readonly #disk: WriteBehind;
	readonly #loop: RepairLoop;
	readonly #stopping = new AbortController();
	readonly #watchers = new Set<Watcher>();
	readonly #strangers: { author: string; wire: CstoreRecord; bytes: number }[] = [];
	readonly #shelf: Shelf;
	readonly #blamed = new WeakSet<Error>();
	#topic: Topic | undefined;
	#queue: GossipQueue | undefined;
	#unserve: (() => void) | undefined;
	#shown: string | undefined;
	#horizon = 0;
	#engaged = false;
	#fetching = 0;
	#degraded: string | undefined;
	#writing: Promise<unknown> = Promise.resolve();
	readonly #traffic = {
		gossipSentBytes: 0,
		gossipReceivedBytes: 0,
		repairSentBytes: 0,
		repairReceivedBytes: 0,
	};
	readonly #onRelay = (event: CustomEvent<{ connected: boolean }>) => {
		if (event.detail.connected) void this.#hearRendezvous().then(() => this.#loop.reunited());
	};

	constructor(init: CstoreInit) {
		super();
		this.#init = init;
		this.room = init.room;
		this.#place = placeOf(init.room, init.part);
		this.#presence = init.presence ?? false;
		this.#peer = init.peer;
		this.#identity = init.identity;
		this.#now = init.now ?? Date.now;
		this.#tag = placeTag(this.#place);
		this.#retentionMs = init.retentionMs ?? defaultRetentionMs;
		this.#quota = init.quota ?? { bytes: defaultAuthorBytes, records: defaultAuthorRecords };
		this.#budgetBytes = init.budgetBytes ?? defaultBudgetBytes;
		this.#clock = new HybridClock(this.#now);
		this.#membership = new Membership({
			room: init.room,
			...(init.revoked ? { revoked: init.revoked } : {}),
		});
		this.#degraded = init.store.degraded;
		this.#disk = new WriteBehind(init.store, this.#place, (cause) => this.#degrade(cause));
		this.#shelf = {
			replica: this.#replica,
			take: (wire, from) => this.#takeFrom(wire, from),
			sign: (wire) => this.#sign(wire),
			count: (sent, received) => {
				this.#traffic.repairSentBytes += sent;
				this.#traffic.repairReceivedBytes += received;
			},
		};
		this.#loop = new RepairLoop({
			now: this.#now,
			presence: this.#presence,
			fingerprint: () => this.fingerprint,
			records: () => this.#replica.size,
			sayDigest: () => void this.#sayDigest().catch(() => {}),
			connected: (peer) =>
				this.#peer.connections.some((each) => each.peer === peer && each.path !== "relayed"),
			compare: async (peer) => (await this.#compare(peer)).differed,
			onPresence: (peer, present) =>
				this.dispatchEvent(new CustomEvent("presence", { detail: { peer, present } })),
		});
	}

	async start(): Promise<void> {
		await this.#load();
		await this.#introduce();
		this.#topic = this.#peer.topic(cstoreTopic(this.room, this.#init.part), {
			maxMessageBytes: limits.envelopeBytes,
			onMessage: (message) => this.#hear(message, "gossip"),
		});
		const topic = this.#topic;
		this.#queue = new GossipQueue((message) => {
			this.#traffic.gossipSentBytes += message.byteLength;
			return topic.publish(message);
		});
		this.#unserve = servePlace(this.#peer, this.#place, (stream, capability) =>
			this.#serve(stream, capability),
		);
		this.#peer.addEventListener("relay", this.#onRelay);
		if (!this.#presence) await this.#showMembership();
		this.#loop.start();
		const remembered = this.#hearRendezvous();
		if (this.#presence) await remembered;
	}

	// Reading

	get(key: string): unknown {
		return this.entry(key)?.value;
	}

	hget(key: string, field: string): unknown {
		return this.entry(key, field)?.value;
	}

	hgetall(key: string): Map<string, unknown> {
		parseKey(key);
		const all = new Map<string, unknown>();
		for (const field of this.#replica.fields(key).sort()) all.set(field, this.hget(key, field));
		return all;
	}

	entry(key: string, field?: string): Entry | undefined {
		parseKey(key);
		const winner = this.#replica.winner(slotOf(key, field));
		return winner && entryOf(winner.write.value, winner.record);
	}

	keys(prefix: string): string[] {
		const keys = new Set<string>();
		for (const { write } of this.#replica.under(prefix)) keys.add(write.key);
		return [...keys].sort();
	}

	watch(prefix: string, listener: (changes: readonly Change[]) => void): () => void {
		const watcher = { prefix, listener };
		this.#watchers.add(watcher);
		return () => void this.#watchers.delete(watcher);
	}

	records(): readonly RecordView[] {
		return this.#replica.items.flatMap((item) => {
			const record = this.#replica.record(item.id);
			if (!record) return [];
			const [envelope, values] = record.wire;
			const wireBytes = values.reduce((sum, value) => sum + value.byteLength, envelope.byteLength);
			const { id, author, stamp, writes } = record;
			return [{ id, author, stamp, keys: writes.map(({ key }) => key), wireBytes }];
		});
	}

	allows(peer: string, action: string): boolean {
		return this.#membership.allows(peer, action, this.#now());
	}

	get peers(): readonly string[] {
		return this.#loop.present;
	}

	get size(): number {
		return this.#replica.size;
	}

	get fingerprint(): string {
		return bytesToHex(this.#replica.fingerprint);
	}

	get traffic(): Traffic {
		return { ...this.#traffic };
	}

	get degraded(): string | undefined {
		return this.#degraded;
	}

	// Writing

	set(key: string, value: unknown, options?: WriteOptions): Promise<Written> {
		return this.transaction((transaction) => transaction.set(key, value), options);
	}

	hset(key: string, field: string, value: unknown, options?: WriteOptions): Promise<Written> {
		return this.transaction((transaction) => transaction.hset(key, field, value), options);
	}

	delete(key: string, field?: string, options?: WriteOptions): Promise<Written> {
		return this.transaction((transaction) => transaction.delete(key, field), options);
	}

	async transaction(
		collect: (transaction: Transaction) => void,
		options: WriteOptions = {},
	): Promise<Written> {
		options.signal?.throwIfAborted();
		const intents = new Map<string, Intent>();
		const add = (key: string, field: string | undefined, value: Uint8Array | undefined): void => {
			const place = parseOwnKey(key, this.#identity.peer, this.room);
			const slot = slotOf(key, field === undefined ? undefined : checkedField(field));
			if (intents.has(slot)) throw new InvalidParameterError("A transaction writes each key once.");
			intents.set(slot, { place, field, value });
		};
		collect({
			set: (key, value) => add(key, undefined, encodeValue(value)),
			hset: (key, field, value) => add(key, field, encodeValue(value)),
			delete: (key, field) => {
				if (field !== undefined) return add(key, field, undefined);
				const fields = this.#replica.fields(key);
				// A hash has no value of its own to delete, unless somebody gave it one.
				if (fields.length === 0 || this.#replica.winner(key)) add(key, undefined, undefined);
				for (const each of fields) add(key, each, undefined);
			},
		});
		await this.#showMembership();
		const record = await this.#write([...intents.values()]);
		await this.#disk.flushed();
		const acks = options.acks ? await this.#gatherAcks(record, options.acks, options) : [];
		return { id: record.id, stamp: record.stamp, acks };
	}

	/** One after the other: the quota must see the write before. */
	#write(intents: readonly Intent[]): Promise<StoredRecord> {
		const turn = this.#writing.then(() => this.#writeNow(intents));
		this.#writing = turn.catch(() => {});
		return turn;
	}

	async #writeNow(intents: readonly Intent[]): Promise<StoredRecord> {
		const total = intents.reduce((sum, { value }) => sum + (value?.byteLength ?? 0), 0);
		if (
			intents.length === 0 ||
			intents.length > limits.cstoreWrites ||
			total > limits.cstoreTransactionBytes
		) {
			throw new InvalidParameterError(
				`A transaction holds 1 to ${limits.cstoreWrites} writes and ${limits.cstoreTransactionBytes} bytes.`,
				{ details: { writes: intents.length, bytes: total } },
			);
		}
		this.#collect();
		const me = this.#identity.peer;
		const stamp = this.#clock.tick();
		const introduces = intents[0]!.place.name === capabilityName;
		if (!introduces && !this.#membership.admits(me, timeOf(stamp))) {
			throw new CapabilityError(`This peer is no member of ${this.room}, or its invitation is over.`, {
				metaMessages: ["Ask the room's owner for a new invitation."],
			});
		}
		const { writes, values } = layOut(intents);
		const envelope = readEnvelope(await sealPayload(this.#identity, stamp, [this.#tag, writes]), this.#tag);
		const record = toRecord(envelope, values, this.room);
		this.#assertQuota(record);
		this.#keep(record);
		this.#queue?.push(envelope.bytes);
		return record;
	}

	#assertQuota(record: StoredRecord): void {
		const share = this.#replica.share(record.author);
		// What our own write replaces makes room, as far as nothing else of it is left.
		const replaced = new Map<StoredRecord, number>();
		for (const { slot } of record.writes) {
			const before = this.#replica.winner(slot)?.record;
			if (before?.author === record.author) replaced.set(before, (replaced.get(before) ?? 0) + 1);
		}
		let { bytes, records } = share;
		for (const [before, slots] of replaced) {
			const live = before.writes.filter(({ slot }) => this.#replica.winner(slot)?.record === before).length;
			if (live > slots) continue;
			bytes -= before.bytes;
			records--;
		}
		if (bytes + record.bytes > this.#quota.bytes || records + 1 > this.#quota.records) {
			throw new AuthorQuotaError(
				`This peer has ${bytes} of ${this.#quota.bytes} bytes and ${records} of ${this.#quota.records} records in ${this.room}.`,
				{
					metaMessages: [
						"Write less often to new keys. What is deleted gives its value's room back at once, its record's after its time.",
					],
					details: { bytes, records, maxBytes: this.#quota.bytes, maxRecords: this.#quota.records },
				},
			);
		}
	}

	async #gatherAcks(record: StoredRecord, wanted: number, options: WriteOptions): Promise<Ack[]> {
		const acks: Ack[] = [];
		const enough = new AbortController();
		const signal = AbortSignal.any([
			enough.signal,
			AbortSignal.timeout(options.timeoutMs ?? ackTimeoutMs),
			this.#stopping.signal,
			...(options.signal ? [options.signal] : []),
		]);
		const candidates = this.#loop.present;
		const ask = async (): Promise<void> => {
			for (let to = candidates.shift(); to !== undefined && !signal.aborted; to = candidates.shift()) {
				try {
					const signature = await this.#exchange(to, signal, async (exchange) => {
						await exchange.say({ type: "keep", record: record.wire });
						return (await exchange.answer("signed")).signature;
					});
					if (!(await isKeptBy(publicKeyFromPeerId(to), this.#tag, record.id, signature))) {
						this.#peer.report(to, "malformed");
						continue;
					}
					if (acks.length < wanted) acks.push({ peer: to, signature });
					if (acks.length === wanted) enough.abort();
				} catch {
					// The next one may answer.
				}
			}
		};
		await Promise.all(Array.from({ length: wanted + spareAsks }, ask));
		options.signal?.throwIfAborted();
		if (acks.length < wanted) {
			throw new WriteQuorumError(`${acks.length} of ${wanted} peers signed that they keep this write.`, {
				metaMessages: ["It is kept here and spreads all the same."],
				answered: acks.map(({ peer }) => peer),
				details: { wanted, answered: acks.length },
			});
		}
		return acks;
	}

	// Taking what others wrote

	/** @throws a TabmeshError for what an honest peer does not send; the transport reports the sender */
	async #hear(message: Uint8Array, from: "gossip" | "relay"): Promise<void> {
		this.#traffic.gossipReceivedBytes += message.byteLength;
		const envelope = readEnvelope(message, this.#tag);
		if (envelope.author === this.#identity.peer) return;
		if (envelope.writes && this.#replica.has(envelope.id)) return;
		this.#assertTime(envelope);
		if (envelope.digest) {
			await envelope.verify();
			this.#clock.observe(envelope.stamp);
			this.#notice(envelope, from);
			return;
		}
		if (envelope.gone) return this.#hearGone(envelope, envelope.gone, from);
		if (valuesBeside(envelope.writes ?? []) === 0) {
			if (await this.#take(envelope, [])) this.#notice(envelope, from);
			return;
		}
		// Its values did not fit; a forged one must not make us ask anybody for anything.
		await envelope.verify();
		this.#notice(envelope, from);
		void this.#fetch(envelope);
	}

	/** Only the relays that we chose can say it, and only of whom we do not see ourselves. No gossip waits for us to look. */
	async #hearGone(
		envelope: ReadEnvelope,
		{ peer, sequence }: { peer: string; sequence: number },
		from: "gossip" | "relay",
	): Promise<void> {
		const isRelay = this.#peer.connections.some(
			(each) => each.peer === envelope.author && each.path === "socket",
		);
		if (!isRelay) return;
		await envelope.verify();
		// A relay lost us, and we have another one.
		if (peer === this.#identity.peer) return this.#loop.sayDigestSoon();
		const looked = this.#peer.answers(peer, answerMs).then(() => this.#loop.gone(peer, sequence));
		if (from === "relay") await looked;
	}

	/** What is signed says that its author was here then. */
	#notice({ author, stamp, digest }: ReadEnvelope, from: "gossip" | "relay"): void {
		const ageMs = Math.max(0, this.#now() - timeOf(stamp));
		if (ageMs > maxAgeMs) return;
		this.#loop.heard(author, {
			stamp,
			// Devices' clocks differ, and gossip is quick: only what was remembered can be old.
			ageMs: from === "gossip" ? 0 : ageMs,
			...(digest ? { records: digest.records } : {}),
			// Others have heard more since; the next digest comes soon.
			...(digest && !(this.#presence && from === "relay")
				? { fingerprint: bytesToHex(digest.fingerprint) }
				: {}),
		});
	}

	/** Where that fails, repair brings it. */
	async #fetch(envelope: ReadEnvelope): Promise<void> {
		if (this.#fetching >= fetchesAtOnce) {
			this.#loop.missed(envelope.author);
			return;
		}
		this.#fetching++;
		try {
			await this.#exchange(envelope.author, this.#stopping.signal, async (exchange) => {
				for await (const wire of exchange.want([envelope.id])) await this.#takeFrom(wire, envelope.author);
			});
		} catch {
			this.#loop.missed(envelope.author);
		} finally {
			this.#fetching--;
		}
	}

	async #takeFrom(wire: CstoreRecord, from: string): Promise<boolean> {
		try {
			const envelope = readEnvelope(wire[0], this.#tag);
			this.#assertTime(envelope);
			return await this.#take(envelope, wire[1]);
		} catch (error) {
			// Clocks differ; a record that seems to come from the future here is none where it was taken.
			if (error instanceof EnvelopeTimeError) return false;
			this.#blame(from, error);
			throw error;
		}
	}

	/** Once for each error: what was wrong with a record comes by here again as what was wrong with its stream. */
	#blame(peer: string, error: unknown): void {
		if (!(error instanceof TabmeshError) || this.#blamed.has(error)) return;
		this.#blamed.add(error);
		const forged = error instanceof InvalidSignatureError || error instanceof MessageTooLargeError;
		if (forged || error instanceof MalformedMessageError) this.#peer.report(peer, "malformed");
		else if (error instanceof ProtocolViolationError) this.#peer.report(peer, "violation");
	}

	/** Cheap checks first: a flood of wrong records must not cost signature checks. */
	async #take(envelope: ReadEnvelope, values: readonly Uint8Array[]): Promise<boolean> {
		if (!envelope.writes) throw new MalformedMessageError("A digest came where a record belongs.");
		this.#collect();
		if (envelope.stamp < this.#horizon || this.#replica.has(envelope.id)) return false;
		const record = toRecord(envelope, values, this.room);
		if (!this.#replica.wants(record)) return false;
		const token = this.#membership.closed ? this.#tokenOf(record) : undefined;
		if (token !== undefined) {
			// Before it counts: somebody else's copy of an older one must not take a member's place away.
			await envelope.verify();
			await this.#membership.learn(record.author, token).catch(() => {});
		}
		if (!this.#membership.admits(record.author, timeOf(record.stamp))) {
			this.#holdBack(record);
			return false;
		}
		if (this.#replica.bytes + record.bytes > this.#budgetBytes && record.author !== this.#identity.peer) {
			this.#degrade(
				new StorageQuotaError(`The room ${this.room} is larger than the ${this.#budgetBytes} bytes allowed.`),
			);
			return false;
		}
		if (token === undefined) await envelope.verify();
		if (record.stamp < this.#horizon) return false;
		const news = this.#keep(record);
		if (token !== undefined) await this.#letIn(record.author);
		return news;
	}

	/** Puts a record whose signature holds into its place, and tells disk and watchers. */
	#keep(record: StoredRecord): boolean {
		this.#clock.observe(record.stamp);
		const merged = this.#replica.merge(record);
		if (merged.outcome !== "news") return false;
		const shrunk = this.#replica.shrink(record.author, this.#quota);
		this.#disk.note([record], [...merged.dropped, ...shrunk.dropped]);
		this.#loop.changed();
		this.#tell(merged, false);
		this.#tell(shrunk, true);
		return this.#replica.has(record.id);
	}

	#assertTime({ stamp }: ReadEnvelope): void {
		const now = this.#now();
		if (stamp > stampOf(now + maxAheadMs)) {
			throw new EnvelopeTimeError("An entry claims to come from the future.", {
				metaMessages: ["If this happens with everybody, this device's clock is wrong."],
				details: { time: timeOf(stamp), clock: now },
			});
		}
	}

	/**
	 * Forgets what is older than the retention. The horizon never goes back, so that a deletion once forgotten leaves
	 * nothing that it deleted acceptable. In whole hours, and by the clock that all share: peers then forget together, and
	 * compare as equal.
	 */
	#collect(): void {
		const step = Math.min(hourMs, this.#retentionMs / 8);
		const horizon = stampOf(Math.floor((this.#clock.time - this.#retentionMs) / step) * step);
		if (horizon <= this.#horizon) return;
		this.#horizon = horizon;
		const collected = this.#replica.collect(horizon);
		this.#disk.note([], collected.dropped);
		this.#loop.changed();
		this.#tell(collected, true);
	}

	#tell({ changes }: Merged, lapsed: boolean): void {
		if (changes.length === 0 || this.#watchers.size === 0) return;
		for (const { prefix, listener } of this.#watchers) {
			const seen = changes.filter(({ key }) => key.startsWith(prefix));
			if (seen.length === 0) continue;
			listener(
				seen.map(({ key, field, value, record }) => ({ key, field, entry: entryOf(value, record), lapsed })),
			);
		}
	}

	// Members of a private room

	/** The capability that a record of a private room shows; undefined where it shows none. */
	#tokenOf(record: StoredRecord): string | undefined {
		const slot = keyOf(space.peer, capabilityName, record.author, this.room);
		const write = record.writes.find((each) => each.slot === slot);
		const token = write?.value && decodeValue(write.value);
		return typeof token === "string" ? token : undefined;
	}

	#holdBack({ author, wire, bytes }: StoredRecord): void {
		this.#strangers.push({ author, wire, bytes });
		let held = this.#strangers.reduce((sum, stranger) => sum + stranger.bytes, 0);
		while (this.#strangers.length > strangersAtMost || held > strangerBytes) {
			held -= this.#strangers.shift()!.bytes;
		}
	}

	async #letIn(author: string): Promise<void> {
		const theirs = this.#strangers.filter((stranger) => stranger.author === author);
		if (theirs.length === 0) return;
		const others = this.#strangers.filter((stranger) => stranger.author !== author);
		this.#strangers.splice(0, this.#strangers.length, ...others);
		for (const { wire } of theirs) {
			// Nobody is there to blame any more.
			await this.#take(readEnvelope(wire[0], this.#tag), wire[1]).catch(() => {});
		}
	}

	/** Drops what was written by somebody whose capability was revoked since: newcomers will not take it either. */
	#putOut(): void {
		if (!this.#membership.closed) return;
		const out = this.#replica.dropAll(
			({ author, stamp }) =>
				author !== this.#identity.peer && !this.#membership.admits(author, timeOf(stamp)),
		);
		this.#disk.note([], out.dropped);
		this.#loop.changed();
		this.#tell(out, false);
	}

	async #introduce(): Promise<void> {
		if (!this.#membership.closed) return;
		const me = this.#identity.peer;
		const { capability } = this.#init;
		if (capability === undefined) {
			if (this.#membership.admits(me, this.#now())) return;
			throw new CapabilityError(`The room ${this.room} is private.`, {
				metaMessages: ["Ask its owner for an invitation."],
			});
		}
		this.#shown = await presentCapability(capability, this.#identity);
		await this.#membership.learn(me, this.#shown);
	}

	async #showMembership(): Promise<void> {
		const token = this.#shown;
		if (token === undefined) return;
		const known = this.entry(`peer/${this.#identity.peer}/${capabilityName}`);
		if (known?.value === token && known.time > this.#now() - this.#retentionMs * renewAfter) return;
		const place = { space: space.peer, owner: this.#identity.peer, name: capabilityName };
		await this.#write([{ place, field: undefined, value: encodeValue(token) }]);
	}

	// Other peers

	async repair(peer: string, options: { signal?: AbortSignal } = {}): Promise<RepairReport> {
		const { differed: _, ...report } = await this.#compare(peer, options.signal);
		return report;
	}

	async #compare(peer: string, signal?: AbortSignal): Promise<RepairReport & { differed: number }> {
		if (this.#engaged) throw new StoreBusyError("Another comparison is running here.");
		this.#engaged = true;
		try {
			this.#collect();
			this.#putOut();
			const limit = AbortSignal.any([
				AbortSignal.timeout(compareTimeoutMs),
				this.#stopping.signal,
				...(signal ? [signal] : []),
			]);
			const report = await this.#exchange(peer, limit, async (exchange) => {
				const compared = await compare(exchange, this.#shelf, peer, this.#now());
				const { sentBytes, receivedBytes } = exchange;
				return { peer, ...compared, sentBytes, receivedBytes };
			});
			this.#loop.agreed(peer);
			if (report.pulled > 0) this.#loop.sayDigestSoon();
			return report;
		} finally {
			this.#engaged = false;
		}
	}

	#exchange<T>(to: string, signal: AbortSignal, work: (exchange: Exchange) => Promise<T>): Promise<T> {
		const open = {
			type: "open" as const,
			room: this.room,
			...(this.#init.part === undefined ? {} : { part: this.#init.part }),
			...(this.#shown === undefined ? {} : { capability: this.#shown }),
		};
		return Exchange.with({ peer: this.#peer, to, open, shelf: this.#shelf, signal }, work);
	}

	async #serve(stream: MessageStream, capability: string | undefined): Promise<void> {
		if (this.#membership.closed) {
			if (capability !== undefined) await this.#membership.learn(stream.remote, capability);
			if (!this.#membership.admits(stream.remote, this.#now())) {
				throw new CapabilityError("This room is private.");
			}
		}
		let engagedHere = false;
		const newsBefore = this.fingerprint;
		try {
			await answerExchange(stream, this.#shelf, () => {
				if (this.#engaged) return false;
				this.#collect();
				this.#putOut();
				this.#engaged = true;
				engagedHere = true;
				return true;
			});
		} catch (error) {
			this.#blame(stream.remote, error);
			throw error;
		} finally {
			if (engagedHere) {
				this.#engaged = false;
				if (this.fingerprint !== newsBefore) this.#loop.sayDigestSoon();
			}
		}
	}

	async #sign(wire: CstoreRecord): Promise<Uint8Array> {
		const envelope = readEnvelope(wire[0], this.#tag);
		if (!this.#replica.has(envelope.id)) {
			const record = toRecord(envelope, wire[1], this.room);
			const replaced = record.writes.every(({ slot }) => {
				const winner = this.#replica.winner(slot);
				return winner !== undefined && winner.record.stamp >= record.stamp;
			});
			if (!replaced) throw new InvalidSignatureError("This record is not kept here.");
		}
		await this.#disk.flushed();
		if (this.#disk.failing) {
			throw new StorageQuotaError("This device can keep nothing more.", {
				metaMessages: ["Ask another peer."],
			});
		}
		return signKept(this.#identity, this.#tag, envelope.id);
	}

	async #sayDigest(): Promise<void> {
		this.#collect();
		this.#putOut();
		if (this.#presence && !this.#speaks()) return;
		// Its record has a time of its own, and a page may be open for longer.
		await this.#showMembership().catch(() => {});
		const payload = [this.#tag, this.#replica.size, this.#replica.fingerprint];
		this.#queue?.push(await sealPayload(this.#identity, this.#clock.tick(), payload));
	}

	/** Whether anything stands that this peer wrote. */
	#speaks(): boolean {
		for (const { record } of this.#replica.under(`peer/${this.#identity.peer}/`)) {
			if (!this.#tokenOf(record)) return true;
		}
		return false;
	}

	/** What relays remember of this room: who is here, and what was written lately. */
	async #hearRendezvous(): Promise<void> {
		const topic = cstoreTopic(this.room, this.#init.part);
		const remembered = await this.#peer.rendezvous(topic).catch(() => []);
		// One broken record must not hide the others.
		await Promise.all(remembered.map((message) => this.#hear(message, "relay").catch(() => {})));
	}

	// The disk

	async #load(): Promise<void> {
		const kept = await this.#init.store.load(this.#place).catch((cause) => {
			this.#degrade(cause);
			return [];
		});
		this.#collect();
		const records: StoredRecord[] = [];
		const broken: StoredRecord[] = [];
		for (const { id, wire } of kept) {
			try {
				const record = toRecord(readEnvelope(wire[0], this.#tag), wire[1], this.room);
				// The id is a hash over what was signed: a disk that changed a bit is found out without checking signatures again.
				if (record.id === id && record.stamp >= this.#horizon) records.push(record);
				else broken.push({ ...record, id });
			} catch {
				// Other peers still have it.
			}
		}
		for (const record of records) {
			const token = this.#membership.closed ? this.#tokenOf(record) : undefined;
			if (token !== undefined) await this.#membership.learn(record.author, token).catch(() => {});
		}
		const gone: StoredRecord[] = broken;
		for (const record of records) {
			this.#clock.observe(record.stamp);
			const { outcome, dropped } = this.#replica.merge(record);
			gone.push(...dropped);
			if (outcome === "superseded") gone.push(record);
		}
		this.#loop.changed();
		this.#disk.note([], gone);
	}

	#degrade(cause: unknown): void {
		const reason = cause instanceof Error ? cause.message : String(cause);
		const begins = this.#degraded === undefined;
		this.#degraded = reason;
		if (begins) this.dispatchEvent(new CustomEvent("degraded", { detail: { reason } }));
	}

	async stop(): Promise<void> {
		this.#stopping.abort(new StoreBusyError("This store has stopped."));
		this.#loop.stop();
		await this.#queue?.flushed(AbortSignal.timeout(farewellMs));
		this.#queue?.stop();
		this.#unserve?.();
		this.#topic?.leave();
		this.#peer.removeEventListener("relay", this.#onRelay);
		this.#watchers.clear();
		await this.#disk.flushed();
	}
}

function entryOf(value: Uint8Array | undefined, record: StoredRecord): Entry | undefined {
	return value && { value: decodeValue(value), author: record.author, time: timeOf(record.stamp) };
}

/**
 * Joins the shared state of a room: what is on this device is here at once, what others wrote comes from then on.
 *
 * @throws CapabilityError where the room is private and the capability is missing or not for it; InvalidParameterError
 * when this peer joined it already
 *
 * @example
 * ```ts
 * import { createCstore, openRecordStore } from "@tabmesh/cstore";
 * const store = await openRecordStore({ file: "state.sqlite" });
 * const cstore = await createCstore({ peer, identity, room: "public", store });
 * await cstore.set(`peer/${peer.id}/status`, { model: "tiny", busy: false });
 * cstore.watch("public/", (changes) => console.log(changes));
 * await cstore.hset("public/scores", "round-1", 12, { acks: 2 });
 * ```
 */
export async function createCstore(init: CstoreInit): Promise<Cstore> {
	const cstore = new RoomStore(init);
	try {
		await cstore.start();
	} catch (error) {
		await cstore.stop();
		throw error;
	}
	return cstore;
}
