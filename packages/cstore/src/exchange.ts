import type { MessageStream, Peer, StreamProtocol } from "@tabmesh/transport";
import {
	type CstoreRecord,
	type CstoreRequest,
	type CstoreResponse,
	cstoreRequestSchema,
	cstoreResponseSchema,
	decodeCbor,
	encodeCbor,
	KeySpaceError,
	limits,
	MalformedMessageError,
	ProtocolViolationError,
	protocolId,
	StoreBusyError,
	TimeoutError,
} from "@tabmesh/wire";
import { stampOf } from "./hybridClock.ts";
import { placeOf } from "./keySpace.ts";
import { bytesOfIds, firstRanges, idsOf, reconcile } from "./reconcile.ts";
import type { StoredRecord } from "./record.ts";
import type { Item, Replica } from "./replica.ts";

/** Comparing and giving, from peer to peer. */
export const cstoreProtocol: StreamProtocol = {
	id: protocolId("cstore"),
	maxMessageBytes: limits.cstoreMessageBytes,
	// One comparison, and room for writes that want a signature.
	maxStreamsPerPeer: 16,
	carriage: "bulk",
};

/** Bytes of records in one message, unless a single one is larger. */
const batchBytes = 128 * 1024;
/** Records that go both ways before the next older ones are looked at. */
const groupRecords = 256;
/** Rounds of one comparison: a million records take six, and 64 KB of answer at a time for what is wholly new. */
const mostRounds = 1_000;
/** Ids that one comparison asks for; the next one goes on. */
const mostNeeded = 100_000;
/** A peer that says nothing for so long in the middle of an exchange is gone. */
const idleMs = 30_000;

/** What an exchange needs of the store behind it. */
export interface Shelf {
	readonly replica: Replica;
	/** Takes a record from a peer; true when it was news. @throws a TabmeshError for what an honest peer does not send */
	take(wire: CstoreRecord, from: string): Promise<boolean>;
	/** Signs that a record that was taken, or a newer one in its place, is on the disk. @throws where it is not */
	sign(wire: CstoreRecord): Promise<Uint8Array>;
	/** What went over the wire. */
	count(sentBytes: number, receivedBytes: number): void;
}

/** The places that a peer serves: a protocol is served once, whatever their number. */
interface Places {
	readonly byPlace: Map<string, (stream: MessageStream, capability: string | undefined) => Promise<void>>;
	readonly unserve: () => void;
}
const servedBy = new WeakMap<Peer, Places>();

/** Answers what other peers ask about a room, or a part of one, until the returned function is called. */
export function servePlace(
	peer: Peer,
	place: string,
	answer: (stream: MessageStream, capability: string | undefined) => Promise<void>,
): () => void {
	let places = servedBy.get(peer);
	if (!places) {
		const byPlace: Places["byPlace"] = new Map();
		const unserve = peer.serve(cstoreProtocol, async (stream) => {
			const opening = await firstOf(stream);
			const request = decodeCbor(cstoreRequestSchema, opening, limits.cstoreMessageBytes);
			if (request.type !== "open") throw new ProtocolViolationError("An exchange begins with its room.");
			const answerPlace = byPlace.get(placeOf(request.room, request.part));
			if (!answerPlace) throw new KeySpaceError("This peer keeps nothing of that room.");
			await answerPlace(stream, request.capability);
		});
		places = { byPlace, unserve };
		servedBy.set(peer, places);
	}
	places.byPlace.set(place, answer);
	const { byPlace, unserve } = places;
	return () => {
		byPlace.delete(place);
		if (byPlace.size > 0) return;
		servedBy.delete(peer);
		unserve();
	};
}

/**
 * The answering side.
 *
 * @param engage - called when the other side begins to compare; false where another comparison runs
 */
export async function answerExchange(
	stream: MessageStream,
	shelf: Shelf,
	engage: () => boolean,
): Promise<void> {
	const guard = idleGuard(stream);
	let engaged = false;
	const say = async (response: CstoreResponse): Promise<void> => {
		const bytes = encodeCbor(response);
		shelf.count(bytes.byteLength, 0);
		await stream.send(bytes);
	};
	try {
		for await (const message of stream) {
			guard.alive();
			shelf.count(0, message.byteLength);
			const request = decodeCbor(cstoreRequestSchema, message, limits.cstoreMessageBytes);
			switch (request.type) {
				case "open":
					throw new ProtocolViolationError("An exchange is about one room.");
				case "compare": {
					engaged ||= engage();
					if (!engaged)
						throw new StoreBusyError("This peer is comparing with another; try again in a moment.");
					const { ranges } = reconcile(shelf.replica, request.ranges, false);
					await say({ type: "ranges", ranges });
					break;
				}
				case "want": {
					let batch: CstoreRecord[] = [];
					let bytes = 0;
					for (const id of idsOf(request.ids)) {
						const record = shelf.replica.record(id);
						if (!record) continue;
						if (bytes > 0 && bytes + record.bytes > batchBytes) {
							await say({ type: "records", records: batch, last: false });
							guard.alive();
							batch = [];
							bytes = 0;
						}
						batch.push(record.wire);
						bytes += record.bytes;
					}
					await say({ type: "records", records: batch, last: true });
					break;
				}
				case "give": {
					let news = 0;
					for (const record of request.records) if (await shelf.take(record, stream.remote)) news++;
					await say({ type: "kept", news });
					break;
				}
				case "keep": {
					await shelf.take(request.record, stream.remote);
					await say({ type: "signed", signature: await shelf.sign(request.record) });
				}
			}
		}
	} finally {
		guard.stop();
	}
}

/** The asking side of one exchange. */
export class Exchange {
	readonly #stream: MessageStream;
	readonly #shelf: Pick<Shelf, "count">;
	readonly #answers: AsyncIterator<Uint8Array>;
	readonly #guard: ReturnType<typeof idleGuard>;
	sentBytes = 0;
	receivedBytes = 0;

	private constructor(stream: MessageStream, shelf: Pick<Shelf, "count">) {
		this.#stream = stream;
		this.#shelf = shelf;
		this.#answers = stream[Symbol.asyncIterator]();
		this.#guard = idleGuard(stream);
	}

	/** Runs `work` on an exchange with `to`, and ends it. */
	static async with<T>(
		init: {
			peer: Peer;
			to: string;
			open: Extract<CstoreRequest, { type: "open" }>;
			shelf: Pick<Shelf, "count">;
			signal: AbortSignal;
		},
		work: (exchange: Exchange) => Promise<T>,
	): Promise<T> {
		const { peer, to, open, shelf, signal } = init;
		const stream = await peer.open(to, cstoreProtocol, { signal });
		const cancel = (): void => stream.abort(signal.reason as Error);
		signal.addEventListener("abort", cancel, { once: true });
		const exchange = new Exchange(stream, shelf);
		try {
			await exchange.say(open);
			const result = await work(exchange);
			await stream.close();
			return result;
		} catch (error) {
			stream.abort(error as Error);
			throw error;
		} finally {
			exchange.#guard.stop();
			signal.removeEventListener("abort", cancel);
		}
	}

	async say(request: CstoreRequest): Promise<void> {
		const bytes = encodeCbor(request);
		this.sentBytes += bytes.byteLength;
		this.#shelf.count(bytes.byteLength, 0);
		await this.#stream.send(bytes);
		this.#guard.alive();
	}

	/** @throws ProtocolViolationError when something else is answered */
	async answer<T extends CstoreResponse["type"]>(type: T): Promise<Extract<CstoreResponse, { type: T }>> {
		const { value, done } = await this.#answers.next();
		if (done) throw new MalformedMessageError("A peer ended an exchange without an answer.");
		this.#guard.alive();
		this.receivedBytes += value.byteLength;
		this.#shelf.count(0, value.byteLength);
		const response = decodeCbor(cstoreResponseSchema, value, limits.cstoreMessageBytes);
		if (response.type !== type)
			throw new ProtocolViolationError(`"${response.type}" came where "${type}" belongs.`);
		return response as Extract<CstoreResponse, { type: T }>;
	}

	/** Asks for records. @yields them as they come */
	async *want(ids: readonly string[]): AsyncGenerator<CstoreRecord> {
		await this.say({ type: "want", ids: bytesOfIds(ids) });
		for (let asked = ids.length; ; ) {
			const { records, last } = await this.answer("records");
			asked -= records.length;
			if (asked < 0 || (!last && records.length === 0)) {
				throw new ProtocolViolationError("A peer gave more records than were asked for.");
			}
			yield* records;
			if (last) return;
		}
	}
}

/** What is younger may still be on its way by gossip. */
const freshMs = 5_000;

/**
 * Finds out what only one of two peers keeps, and gives it to the other.
 *
 * The newest goes first and both ways in turn: what a newer record replaces is then never sent.
 *
 * @param now - milliseconds since 1970
 * @returns how many records were news here, and there; and how many differed that gossip should long have brought
 */
export async function compare(
	exchange: Exchange,
	shelf: Shelf,
	remote: string,
	now: number,
): Promise<{ pulled: number; pushed: number; differed: number }> {
	const have: string[] = [];
	const need: Item[] = [];
	let ranges = firstRanges(shelf.replica);
	for (let round = 0; ranges.length > 0; round++) {
		if (round === mostRounds) throw new ProtocolViolationError("A comparison does not come to an end.");
		await exchange.say({ type: "compare", ranges });
		const said = (await exchange.answer("ranges")).ranges;
		const step = reconcile(shelf.replica, said, true);
		ranges = step.ranges;
		have.push(...step.have);
		need.push(...step.need.slice(0, mostNeeded - need.length));
	}
	const items = [
		...have.flatMap((id) => {
			const record = shelf.replica.record(id);
			return record ? [{ id, stamp: record.stamp, ours: true }] : [];
		}),
		...need.map((item) => ({ ...item, ours: false })),
	].sort((a, b) => b.stamp - a.stamp);
	let pulled = 0;
	let pushed = 0;
	for (let at = 0; at < items.length; at += groupRecords) {
		const group = items.slice(at, at + groupRecords);
		const records = group.flatMap(({ id, ours }) => (ours ? (shelf.replica.record(id) ?? []) : []));
		pushed += await give(exchange, records);
		const ids = group.filter(({ ours }) => !ours).map(({ id }) => id);
		if (ids.length === 0) continue;
		for await (const record of exchange.want(ids)) if (await shelf.take(record, remote)) pulled++;
	}
	const settled = stampOf(now - freshMs);
	return { pulled, pushed, differed: items.filter(({ stamp }) => stamp < settled).length };
}

async function give(exchange: Exchange, records: readonly StoredRecord[]): Promise<number> {
	let news = 0;
	for (let at = 0; at < records.length; ) {
		const batch: CstoreRecord[] = [];
		for (let bytes = 0; at < records.length; at++) {
			const record = records[at]!;
			if (bytes > 0 && bytes + record.bytes > batchBytes) break;
			batch.push(record.wire);
			bytes += record.bytes;
		}
		await exchange.say({ type: "give", records: batch });
		news += (await exchange.answer("kept")).news;
	}
	return news;
}

async function firstOf(stream: MessageStream): Promise<Uint8Array> {
	const guard = idleGuard(stream);
	try {
		for await (const message of stream) return message;
	} finally {
		guard.stop();
	}
	throw new MalformedMessageError("An exchange ended before it began.");
}

/** Cuts a stream off on which nothing has happened for a while. */
function idleGuard(stream: MessageStream): { alive(): void; stop(): void } {
	const cut = (): void => stream.abort(new TimeoutError("A peer fell silent in the middle of an exchange."));
	let timer = setTimeout(cut, idleMs);
	return {
		alive() {
			clearTimeout(timer);
			timer = setTimeout(cut, idleMs);
		},
		stop: () => clearTimeout(timer),
	};
}
