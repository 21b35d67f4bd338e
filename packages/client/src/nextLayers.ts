import { type ShardSource, tensorsOfSpan } from "@tabmesh/model";
import { spanOf } from "@tabmesh/pipeline";
import { limits } from "@tabmesh/wire";
import { TypedEventEmitter } from "main-event";
import type { DeviceStorage } from "./deviceStorage.ts";
import type { NetworkModel } from "./networkModel.ts";

/** What others ask for comes first: after so long without a stream the next layer is fetched. */
const calmMs = 5_000;

/** Layers `[from, to)`. */
interface Range {
	readonly from: number;
	readonly to: number;
}

export interface NextLayersInit {
	readonly model: NetworkModel;
	readonly source: ShardSource;
	readonly storage: Pick<DeviceStorage, "view">;
	/** How long a span is held before anything else is fetched: who opened a page for a moment fetches nothing more. */
	readonly afterMs: number;
	/** For each layer of the model, how many serve it now. */
	holders(): readonly number[];
	/** Whether streams run here, which nothing may disturb. */
	isBusy(): boolean;
}

/**
 * Brings to this device's disk, while nobody asks it for anything, the layers next to those that it holds, the neediest first
 * and as many as the storage budget has room for: what the swarm asks it to hold next it then opens within seconds
 * (decision 0016). Nothing gives way for that, and it stops by itself where layers cannot be had.
 *
 * @fires change - `stored` grew or went
 */
export class NextLayers extends TypedEventEmitter<{ change: Event }> {
	readonly #init: NextLayersInit;
	#stored: Range | undefined;
	#running: AbortController | undefined;
	#reading: AbortController | undefined;

	constructor(init: NextLayersInit) {
		super();
		this.#init = init;
	}

	/** Layers that lie on the disk and can be opened without fetching anything; undefined where nobody looked yet. */
	get stored(): Range | undefined {
		return this.#stored;
	}

	/** Goes on from a span that was loaded now. */
	from(span: Range): void {
		this.stop();
		const touches = this.#stored && this.#stored.from <= span.to && span.from <= this.#stored.to;
		const stored = touches
			? { from: Math.min(span.from, this.#stored!.from), to: Math.max(span.to, this.#stored!.to) }
			: { from: span.from, to: span.to };
		const running = new AbortController();
		this.#running = running;
		// Without them it goes on as it is: whoever needs the layers later fetches them, and says then what is wrong.
		void this.#run(stored, running.signal).catch(() => {});
	}

	/** Lets go of what is on its way, since something else is to be fetched or served. What was fetched stays. */
	yield(): void {
		this.#reading?.abort();
	}

	/** Fetches nothing more until `from`. */
	stop(): void {
		this.#running?.abort();
		this.yield();
	}

	async #run(held: Range, signal: AbortSignal): Promise<void> {
		await calm(this.#init.afterMs, signal);
		let stored: Range = held;
		for (;;) {
			while (this.#init.isBusy()) await calm(calmMs, signal);
			const isKept = await this.#isKept(stored);
			if (signal.aborted) return;
			this.#show(isKept ? stored : undefined);
			const next = this.#neediest(stored);
			if (!isKept || next === undefined || !(await this.#hasRoom(next)) || signal.aborted) return;
			if (!(await this.#fetch(next, signal))) continue;
			stored = { from: Math.min(stored.from, next), to: Math.max(stored.to, next + 1) };
		}
	}

	#show(stored: Range | undefined): void {
		if (stored?.from === this.#stored?.from && stored?.to === this.#stored?.to) return;
		this.#stored = stored;
		this.dispatchEvent(new Event("change"));
	}

	#neediest({ from, to }: Range): number | undefined {
		const holders = this.#init.holders();
		const sides = [from - 1, to].filter((layer) => layer >= 0 && layer < holders.length);
		return sides.sort((a, b) => holders[a]! - holders[b]! || b - a)[0];
	}

	/** @returns whether the layer is here; false where a stream came first */
	async #fetch(layer: number, signal: AbortSignal): Promise<boolean> {
		const { model, source } = this.#init;
		const reading = new AbortController();
		this.#reading = reading;
		const either = AbortSignal.any([signal, reading.signal]);
		try {
			for (const tensor of this.#tensors({ from: layer, to: layer + 1 })) {
				await source.read(model, tensor, { signal: either });
			}
			return true;
		} catch (error) {
			if (signal.aborted || !reading.signal.aborted) throw error;
			return false;
		}
	}

	/** Whether blocks of these layers lie here, as far as sizes tell: a full disk or budget may have taken fewer. */
	async #isKept(range: Range): Promise<boolean> {
		const { kept, degraded } = await this.#init.storage.view();
		const bytes = kept.find(({ id }) => id === this.#init.model.id)?.bytes ?? 0;
		return degraded === undefined && bytes >= this.#bytes(range);
	}

	async #hasRoom(layer: number): Promise<boolean> {
		const { usedBytes, budgetBytes } = await this.#init.storage.view();
		return usedBytes + this.#bytes({ from: layer, to: layer + 1 }) <= budgetBytes;
	}

	#bytes(range: Range): number {
		// Tensors of the same bytes, norms of ones for example, are kept once.
		const sizes = new Map<string, number>();
		for (const { bytes, chunks } of this.#tensors(range)) {
			for (const [index, digest] of chunks.entries()) {
				const size = Math.min(limits.chunkBytes, bytes - index * limits.chunkBytes);
				sizes.set(digest.toString(), size);
			}
		}
		return [...sizes.values()].reduce((sum, size) => sum + size, 0);
	}

	#tensors({ from, to }: Range) {
		const { manifest } = this.#init.model;
		return tensorsOfSpan(manifest, spanOf(from, to, manifest.config.layers));
	}
}

function calm(ms: number, signal: AbortSignal): Promise<void> {
	return new Promise((resolve, reject) => {
		const timer = setTimeout(() => {
			signal.removeEventListener("abort", onAbort);
			resolve();
		}, ms);
		const onAbort = (): void => {
			clearTimeout(timer);
			reject(signal.reason);
		};
		signal.addEventListener("abort", onAbort, { once: true });
		if (signal.aborted) onAbort();
	});
}
