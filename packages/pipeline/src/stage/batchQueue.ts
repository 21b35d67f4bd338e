import type {
	Engine,
	EngineHandle,
	ForwardResult,
	ForwardRow,
	LogitsWanted,
	StreamKey,
} from "@tabmesh/model";

/**
 * Decode steps of several streams that run as one batch. FACTS: on WASM eight rows cost 2 to 5 times what one costs, and
 * more rows make each stream wait for a longer run.
 */
const MOST_ROWS = 8;

/** What one asker has waiting. */
interface Share {
	/** The longest-waiting first. */
	readonly line: QueueLane[];
	/** Lanes that are open. */
	lanes: number;
	/** Milliseconds of the engine that it has had, or those that a newcomer has missed. */
	spent: number;
}

/** One forward step of one stream. */
export interface Work {
	readonly position: number;
	readonly input: ForwardRow["input"];
	/** Positions that the input adds. */
	readonly rows: number;
	readonly logits: LogitsWanted;
	/** Whether its positions are decoded: as if they came one by one, though they are known before. */
	readonly oneByOne: boolean;
	/** Forget every position from here on first: rejected drafts. */
	readonly truncateTo?: number;
	/**
	 * Takes the result. The stream's next step waits for the promise, so that a stage whose successor is behind stops.
	 *
	 * @param ms - how long the forward call took
	 */
	readonly onResult: (result: ForwardResult, ms: number) => Promise<void> | undefined;
}

/** The steps of one stream, in order. */
export interface Lane {
	readonly stream: StreamKey;
	readonly handle: EngineHandle;
	readonly onError: (error: unknown) => void;
	/** Steps that wait, the running one included. */
	readonly backlog: number;
	push(work: Work): void;
	/** Resolves when fewer than `count` steps wait, or the lane was closed. */
	fewerThan(count: number): Promise<void>;
	/** Drops what waits; the result of a running step is dropped, too. */
	close(): void;
}

class QueueLane implements Lane {
	readonly stream: StreamKey;
	readonly handle: EngineHandle;
	readonly onError: (error: unknown) => void;
	readonly work: Work[] = [];
	readonly share: Share;
	/** Whether it stands in line, runs, or waits for its result to be taken. */
	busy = false;
	closed = false;
	#waiters: { count: number; resolve: () => void }[] = [];
	readonly #enqueue: (lane: QueueLane) => void;
	readonly #onClose: () => void;

	constructor(
		stream: StreamKey,
		handle: EngineHandle,
		share: Share,
		onError: (error: unknown) => void,
		enqueue: (lane: QueueLane) => void,
		onClose: () => void,
	) {
		this.stream = stream;
		this.handle = handle;
		this.share = share;
		this.onError = onError;
		this.#enqueue = enqueue;
		this.#onClose = onClose;
	}

	get backlog(): number {
		return this.work.length;
	}

	push(work: Work): void {
		if (this.closed) return;
		this.work.push(work);
		if (!this.busy) this.#enqueue(this);
	}

	fewerThan(count: number): Promise<void> {
		if (this.closed || this.work.length < count) return Promise.resolve();
		return new Promise((resolve) => this.#waiters.push({ count, resolve }));
	}

	close(): void {
		if (!this.closed) this.#onClose();
		this.closed = true;
		this.work.length = 0;
		this.wake();
	}

	wake(): void {
		if (this.#waiters.length === 0) return;
		const waiters = this.#waiters;
		this.#waiters = [];
		for (const waiter of waiters) {
			if (this.closed || this.work.length < waiter.count) waiter.resolve();
			else this.#waiters.push(waiter);
		}
	}
}

/**
 * What stands between the streams and the engine: continuous batching (Orca, OSDI 2022), fair by asker (start-time fair
 * queueing, Goyal, Vin and Cheng, SIGCOMM 1996). While one call runs, the steps of other streams wait; then the
 * longest-waiting stream of the asker who has had least of the engine goes next, and if its step is a single position, the
 * single positions of other streams on the same handle go with it, as many of each asker. A long prompt takes its turn chunk
 * by chunk like everybody.
 */
export class BatchQueue {
	readonly #engine: Engine;
	readonly #shares = new Map<string, Share>();
	/** What the asker had spent who was served last: who comes anew begins here, and gets nothing for having been away. */
	#spent = 0;
	/** Those whose steps run, until all of them have taken their results. */
	#batch: readonly QueueLane[] = [];
	#running = false;

	constructor(engine: Engine) {
		this.#engine = engine;
	}

	/** A lane for one stream of `asker`, whose memory was reserved on `handle`. */
	lane(stream: StreamKey, handle: EngineHandle, asker: string, onError: (error: unknown) => void): Lane {
		const share = this.#shares.get(asker) ?? { line: [], lanes: 0, spent: 0 };
		this.#shares.set(asker, share);
		share.lanes++;
		const onClose = (): void => {
			if (--share.lanes === 0) this.#shares.delete(asker);
		};
		return new QueueLane(stream, handle, share, onError, (lane) => this.#enqueue(lane), onClose);
	}

	#enqueue(lane: QueueLane): void {
		const { share } = lane;
		lane.busy = true;
		share.spent = Math.max(share.spent, this.#spent);
		share.line.push(lane);
		if (!this.#running) this.#run();
	}

	/** Whether other streams wait for the engine, or compute. */
	isShared(lane: Lane): boolean {
		const others = (lanes: readonly Lane[]): boolean => lanes.some((other) => other !== lane);
		return others(this.#batch) || [...this.#shares.values()].some(({ line }) => others(line));
	}

	#run(): void {
		const batch = this.#nextBatch();
		this.#batch = batch;
		if (batch.length === 0) return;
		this.#running = true;
		const started = performance.now();
		this.#forward(batch).then(
			(results) => {
				const ms = performance.now() - started;
				for (const { share } of batch) share.spent += ms / batch.length;
				for (const [i, lane] of batch.entries()) this.#deliver(lane, results[i]!, ms);
				this.#running = false;
				// Only now: what the results brought about goes into one batch again.
				this.#run();
			},
			async (error) => {
				if (batch.length === 1) this.#fail(batch[0]!, error);
				else await this.#runAlone(batch);
				this.#running = false;
				this.#run();
			},
		);
	}

	#nextBatch(): QueueLane[] {
		const shares = [...this.#shares.values()].sort((a, b) => a.spent - b.spent);
		for (const { line } of shares) while (line[0]?.closed) line.shift();
		const next = shares.find(({ line }) => line.length > 0);
		if (!next) return [];
		this.#spent = next.spent;
		const first = next.line[0]!;
		const { rows, logits } = first.work[0]!;
		if (rows > 1) return [next.line.shift()!];
		const fits = ({ work: [work], handle, closed }: QueueLane): boolean =>
			work?.rows === 1 && work.logits === logits && handle.id === first.handle.id && !closed;
		const taking = shares.filter(({ line }) => line.some(fits));
		const most = Math.ceil(MOST_ROWS / taking.length);
		const batch: QueueLane[] = [];
		for (const { line } of taking) {
			const taken = line.filter(fits).slice(0, Math.min(most, MOST_ROWS - batch.length));
			for (const lane of taken) line.splice(line.indexOf(lane), 1);
			batch.push(...taken);
		}
		return batch;
	}

	#forward(batch: readonly QueueLane[]): Promise<ForwardResult[]> {
		const rows = batch.map((lane) => {
			const { position, input } = lane.work[0]!;
			return { stream: lane.stream, position, input };
		});
		const { handle, work } = batch[0]!;
		const { logits, oneByOne } = work[0]!;
		const truncations = batch.filter((lane) => lane.work[0]!.truncateTo !== undefined);
		if (truncations.length === 0) return this.#engine.forward(handle, rows, { logits, oneByOne });
		return Promise.all(
			truncations.map((lane) => this.#engine.truncate(lane.stream, lane.work[0]!.truncateTo!)),
		).then(() => this.#engine.forward(handle, rows, { logits, oneByOne }));
	}

	/** After a batch failed as a whole: one row that does not fit must not harm the others. */
	async #runAlone(batch: readonly QueueLane[]): Promise<void> {
		for (const lane of batch) {
			if (lane.closed) continue;
			const started = performance.now();
			try {
				const [result] = await this.#forward([lane]);
				const ms = performance.now() - started;
				lane.share.spent += ms;
				this.#deliver(lane, result!, ms);
			} catch (error) {
				this.#fail(lane, error);
			}
		}
	}

	#deliver(lane: QueueLane, result: ForwardResult, ms: number): void {
		const work = lane.work.shift();
		if (lane.closed || !work) return;
		lane.wake();
		let taken: Promise<void> | undefined;
		try {
			taken = work.onResult(result, ms);
		} catch (error) {
			this.#fail(lane, error);
			return;
		}
		if (taken) {
			taken.then(
				() => this.#again(lane),
				(error) => this.#fail(lane, error),
			);
		} else {
			this.#again(lane);
		}
	}

	#again(lane: QueueLane): void {
		if (lane.closed) return;
		lane.busy = false;
		if (lane.work.length > 0) this.#enqueue(lane);
	}

	#fail(lane: QueueLane, error: unknown): void {
		if (lane.closed) return;
		lane.close();
		lane.onError(error);
	}
}
