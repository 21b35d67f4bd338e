import { bytesToHex } from "@noble/hashes/utils.js";
import type { Engine, EngineHandle, StreamKey } from "@tabmesh/model";
import { type Hop, limits, OutOfMemoryBudgetError } from "@tabmesh/wire";
import { LINK_BYTES, type Link, type TokenChain } from "../tokenChain.ts";
import type { SentHistory } from "./sentHistory.ts";

/** Positions between two links that the asker tells: what two streams share is found in steps of so many. */
const LINK_EVERY = 16;
/** How long a finished stream is kept: about as long as it takes to read an answer and to write the next question. */
export const KEEP_MS = 5 * 60_000;
/** Finished streams kept for one asker, and for all. */
const MOST_OF_ASKER = 8;
const MOST = 64;
/** What was sent on all of them: a quarter of what running streams may come to. */
const HISTORY_BYTES = 64 * 1024 * 1024;

/** The links of a stream at every 16th position up to `length`, one behind the other. */
export function linksUpTo(chain: TokenChain, length: number): Uint8Array<ArrayBuffer> {
	const count = Math.min(Math.floor(length / LINK_EVERY), limits.prefixLinks);
	const links = new Uint8Array(count * LINK_BYTES);
	for (let i = 0; i < count; i++) links.set(chain.at((i + 1) * LINK_EVERY), i * LINK_BYTES);
	return links;
}

/**
 * Whose keys and values somebody may go on from: his own, computed by this stage and the same ones before it. A stage cannot
 * see whether hidden states belong to the tokens that the chain names; so it believes a beginning only of those whom it would
 * believe the whole stream.
 *
 * @param apart - of which of the people for whom he asks
 */
export function originOf(
	asker: string,
	model: string,
	hops: readonly Hop[],
	apart: Uint8Array = new Uint8Array(0),
): string {
	const places = hops.map(({ peer, span: { from, to, embed, head } }) => [peer, from, to, embed, head]);
	return JSON.stringify([asker, bytesToHex(apart), model, places]);
}

/** A stream, running or finished, as far as another one may begin with it. */
export interface Prefix {
	readonly asker: string;
	readonly origin: string;
	readonly handle: EngineHandle;
	readonly memory: StreamKey;
	/** By the asker's word, at every 16th position. */
	readonly links: Uint8Array;
	/** All that was computed of it, or more than `links` speak of. */
	readonly history: SentHistory;
	/** Its tokens, at the first stage. */
	readonly tokens: TokenChain;
}

interface KeptPrefix extends Prefix {
	readonly positions: number;
	/** By `performance.now()`: when it was last of use. */
	used: number;
}

/** What a new stream begins with. */
export interface Beginning {
	/** Its name in the engine. */
	readonly memory: StreamKey;
	/** Undefined where it begins with nothing. */
	readonly begun?: { readonly history: SentHistory; readonly tokens: TokenChain };
}

interface Wanted {
	/** Undefined where it may begin with nothing of others. */
	readonly origin: string | undefined;
	readonly handle: EngineHandle;
	readonly maxPositions: number;
	/** Of the new stream; empty where it shall begin with nothing. */
	readonly links: Uint8Array;
	/** Running streams of the same stage. */
	readonly running: Iterable<Prefix>;
}

/**
 * Keys and values of finished streams, so that those that begin alike do not compute the same again: the next turn of a
 * conversation takes over what the last one left, another question under the same instructions copies them. Memory that
 * somebody needs is given up first; the asker who keeps most loses his oldest.
 */
export class KeptPrefixes {
	readonly #engine: Engine;
	readonly #keepMs: number;
	/** The longest unused first. */
	readonly #kept = new Set<KeptPrefix>();
	#names = 0;
	#keeps = true;
	#timer: ReturnType<typeof setTimeout> | undefined;

	constructor(engine: Engine, keepMs = KEEP_MS) {
		this.#engine = engine;
		this.#keepMs = keepMs;
	}

	/** Whether streams that end are kept; where not, nothing is. */
	set keeps(keeps: boolean) {
		this.#keeps = keeps;
		if (!keeps) this.clear();
	}

	/** Bytes of the engine's memory that they take. */
	get bytes(): number {
		let bytes = 0;
		for (const { positions, handle } of this.#kept) bytes += positions * handle.keyValueBytesPerToken;
		return bytes;
	}

	/**
	 * Sets memory for a new stream aside, begun with what an earlier one has in common with it.
	 *
	 * @throws OutOfMemoryBudgetError when it does not fit now
	 */
	async reserve(wanted: Wanted): Promise<Beginning> {
		const { handle, maxPositions } = wanted;
		const begun = await this.#begin(wanted);
		if (begun) return begun;
		const memory = this.#name();
		await this.#engine.reserve(handle, memory, maxPositions);
		return { memory };
	}

	/**
	 * Keeps a stream that has ended, as far as its links reach, in place of the stream's release.
	 *
	 * @returns when the memory behind the links is free
	 */
	async keep(prefix: Prefix): Promise<void> {
		const { links, history, memory } = prefix;
		const positions = Math.min(
			Math.floor(links.byteLength / LINK_BYTES) * LINK_EVERY,
			// Drafts may be other tokens than the links speak of.
			Math.floor(history.certain.position / LINK_EVERY) * LINK_EVERY,
		);
		const rowBytes = positions * history.rowBytes;
		if (!this.#keeps || positions === 0 || rowBytes > HISTORY_BYTES) return this.#engine.release(memory);
		const kept = { ...this.#cut(prefix, positions), positions, used: performance.now() };
		// Calls are taken in order: whoever goes on from it may do so at once.
		const cut = this.#shrink(kept, positions);
		this.#put(kept);
		const own = (): number => [...this.#kept].filter(({ asker }) => asker === prefix.asker).length;
		while (own() > MOST_OF_ASKER) this.#drop(this.#oldestOf(prefix.asker)!);
		while (this.#kept.size > MOST || this.#historyBytes() > HISTORY_BYTES) this.#dropOne();
		return cut;
	}

	/**
	 * Frees the memory of one of them.
	 *
	 * @returns whether there was one
	 */
	async evict(): Promise<boolean> {
		return (await this.#dropOne()) ?? false;
	}

	/** Those of a span that is being unloaded are gone. */
	forget(handle: EngineHandle): void {
		for (const kept of this.#kept) if (kept.handle === handle) this.#drop(kept);
	}

	/** Frees all. */
	clear(): void {
		for (const kept of this.#kept) this.#drop(kept);
	}

	async #begin(wanted: Wanted): Promise<Beginning | undefined> {
		const { links, maxPositions } = wanted;
		const [source, positions] = this.#longest(wanted);
		if (!source) return undefined;
		const kept = this.#kept.has(source as KeptPrefix) ? (source as KeptPrefix) : undefined;
		if (kept) this.#put(kept);
		const { history, tokens } = this.#cut({ ...source, links }, positions);
		const begun = { history, tokens };
		// The next turn of a conversation, and one that is asked again: nothing is left that another stream could begin with.
		if (kept && kept.positions === positions) return this.#takeOver(kept, begun, maxPositions);
		const memory = this.#name();
		try {
			await this.#engine.fork(memory, source.memory, positions, maxPositions);
			return { memory, begun };
		} catch (error) {
			if (error instanceof OutOfMemoryBudgetError) {
				if (kept && this.#kept.has(kept)) return this.#takeOver(kept, begun, maxPositions);
				throw error;
			}
			// It ended meanwhile.
			return undefined;
		}
	}

	/** The stream with the longest beginning of the wanted one, and how long that is. */
	#longest({ origin, handle, links, maxPositions, running }: Wanted): [Prefix | undefined, number] {
		let longest: Prefix | undefined;
		let most = 0;
		for (const each of [...running, ...this.#kept]) {
			if (each.origin !== origin || each.handle !== handle) continue;
			const computed = Math.min(each.history.certain.position, maxPositions - 1);
			const shared = Math.min(sharedLinks(links, each.links), Math.floor(computed / LINK_EVERY));
			// Of equally long ones the newest, and rather one that has ended.
			if (shared * LINK_EVERY < most || shared === 0) continue;
			most = shared * LINK_EVERY;
			longest = each;
		}
		return [longest, most];
	}

	async #takeOver(
		kept: KeptPrefix,
		begun: NonNullable<Beginning["begun"]>,
		maxPositions: number,
	): Promise<Beginning | undefined> {
		const { memory } = kept;
		this.#remove(kept);
		try {
			const { end } = begun.history;
			if (end < kept.positions) await this.#engine.truncate(memory, end);
			await this.#engine.resize(memory, maxPositions);
			return { memory, begun };
		} catch (error) {
			if (!(error instanceof OutOfMemoryBudgetError)) {
				await this.#engine.release(memory).catch(() => {});
				return undefined;
			}
			// Once there is room it is taken over after all.
			this.#put({ ...kept, ...begun, positions: begun.history.end });
			throw error;
		}
	}

	#cut(prefix: Prefix, positions: number): Prefix {
		const links = prefix.links.slice(0, (positions / LINK_EVERY) * LINK_BYTES);
		const history = prefix.history.beginning(positions, links.slice(-LINK_BYTES) as Link);
		const tokens = prefix.tokens.beginning(Math.min(positions, prefix.tokens.length));
		return { ...prefix, links, history, tokens };
	}

	async #shrink(kept: KeptPrefix, positions: number): Promise<void> {
		try {
			await Promise.all([
				this.#engine.truncate(kept.memory, positions),
				this.#engine.resize(kept.memory, positions),
			]);
		} catch {
			this.#drop(kept);
		}
	}

	#put(kept: KeptPrefix): void {
		this.#kept.delete(kept);
		kept.used = performance.now();
		this.#kept.add(kept);
		this.#timer ??= setTimeout(() => this.#expire(), this.#keepMs);
	}

	#expire(): void {
		this.#timer = undefined;
		const now = performance.now();
		let oldest: KeptPrefix | undefined;
		for (const kept of this.#kept) {
			if (now - kept.used >= this.#keepMs) this.#drop(kept);
			else oldest ??= kept;
		}
		if (oldest) this.#timer = setTimeout(() => this.#expire(), oldest.used + this.#keepMs - now);
	}

	#dropOne(): Promise<true> | undefined {
		const counts = new Map<string, number>();
		for (const { asker } of this.#kept) counts.set(asker, (counts.get(asker) ?? 0) + 1);
		const [most] = [...counts].sort((a, b) => b[1] - a[1])[0] ?? [];
		const oldest = most === undefined ? undefined : this.#oldestOf(most);
		return oldest && this.#drop(oldest);
	}

	#oldestOf(asker: string): KeptPrefix | undefined {
		for (const kept of this.#kept) if (kept.asker === asker) return kept;
		return undefined;
	}

	async #drop(kept: KeptPrefix): Promise<true> {
		this.#remove(kept);
		await this.#engine.release(kept.memory).catch(() => {});
		return true;
	}

	#remove(kept: KeptPrefix): void {
		this.#kept.delete(kept);
		if (this.#kept.size > 0) return;
		clearTimeout(this.#timer);
		this.#timer = undefined;
	}

	#historyBytes(): number {
		let bytes = 0;
		for (const { history } of this.#kept) bytes += history.bytes;
		return bytes;
	}

	#name(): StreamKey {
		return `stream ${++this.#names}`;
	}
}

/** How many links two streams have in common. Each stands for all tokens before it, so the last common one tells. */
export function sharedLinks(a: Uint8Array, b: Uint8Array): number {
	let shared = Math.floor(Math.min(a.byteLength, b.byteLength) / LINK_BYTES);
	while (shared > 0 && !sameLink(a, b, (shared - 1) * LINK_BYTES)) shared--;
	return shared;
}

function sameLink(a: Uint8Array, b: Uint8Array, at: number): boolean {
	for (let i = at; i < at + LINK_BYTES; i++) if (a[i] !== b[i]) return false;
	return true;
}
