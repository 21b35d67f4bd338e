import type {
	Engine,
	EngineHandle,
	ForwardResult,
	ForwardRow,
	LogitsWanted,
	StreamKey,
} from "@tabmesh/model";
import type { HiddenState } from "@tabmesh/wire";

/**
 * Decode steps of several streams that run as one batch. FACTS: on WASM eight rows cost 2 to 5 times what one costs, and
 * more rows make each stream wait for a longer run.
 */
const MOST_ROWS = 8;

/**
 * Single positions of one stream that wait one behind the other, as after a failover, and run together: sixteen take a quarter of what they
 * take apart (decision 0022), more of them hardly less.
 */
const MOST_TOGETHER = 16;
/** The same where they run like a prompt: as its first chunk. */
const MOST_LIKE_PROMPT = 32;

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
	/** Runs that wait, the running one included: single positions that can run together are one. */
	readonly backlog: number;
	push(work: Work): void;
	/** Resolves when fewer than `count` runs wait, or the lane was closed. */
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
	readonly #mostTogether: number;
	/** Steps in the run under way. */
	together = 1;
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
		mostTogether: number,
		onError: (error: unknown) => void,
		enqueue: (lane: QueueLane) => void,
		onClose: () => void,
	) {
		this.stream = stream;
		this.handle = handle;
		this.share = share;
		this.#mostTogether = mostTogether;
		this.onError = onError;
		this.#enqueue = enqueue;
		this.#onClose = onClose;
	}

	get backlog(): number {
		let runs = 0;
		for (let at = 0; at < this.work.length; runs++) at += this.run(at);
		return runs;
	}

	/** How many steps from that one on can run together. */
	run(from = 0): number {
		let to = from;
		while (to - from < this.#mostTogether && isKnownAndSingle(this.work[to])) to++;
		return Math.max(1, to - from);
	}

	push(work: Work): void {
		if (this.closed) return;
		this.work.push(work);
		if (!this.busy) this.#enqueue(this);
	}

	fewerThan(count: number): Promise<void> {
		if (this.closed || this.backlog < count) return Promise.resolve();
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
		const { backlog } = this;
		for (const waiter of waiters) {
			if (this.closed || backlog < waiter.count) waiter.resolve();
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
	#computeShare = 1;

	constructor(engine: Engine) {
		this.#engine = engine;
	}

	/** Of the engine's time, how much may be computed, above 0 to 1: after each call it stands still for the rest. */
	get computeShare(): number {
		return this.#computeShare;
	}

	set computeShare(share: number) {
		this.#computeShare = share;
	}

	/** A lane for one stream of `asker`, whose memory was reserved on `handle`. */
	lane(stream: StreamKey, handle: EngineHandle, asker: string, onError: (error: unknown) => void): Lane {
		const share = this.#shares.get(asker) ?? { line: [], lanes: 0, spent: 0 };
		this.#shares.set(asker, share);
		share.lanes++;
		const onClose = (): void => {
			if (--share.lanes === 0) this.#shares.delete(asker);
		};
		const most = this.#engine.info.exactProducts ? MOST_TOGETHER : MOST_LIKE_PROMPT;
		return new QueueLane(stream, handle, share, most, onError, (lane) => this.#enqueue(lane), onClose);
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
				const restMs = ms / this.#computeShare - ms;
				for (const { share } of batch) share.spent += ms / batch.length;
				// Whoever plans with our speed plans with the rest.
				for (const [i, lane] of batch.entries()) this.#deliver(lane, results[i]!, ms + restMs);
				// Only now: what the results brought about goes into one batch again.
				this.#runAfter(restMs);
			},
			async (error) => {
				if (batch.length === 1) this.#fail(batch[0]!, error);
				else await this.#runAlone(batch);
				this.#running = false;
				this.#run();
			},
		);
	}

	#runAfter(restMs: number): void {
		const run = (): void => {
			this.#running = false;
			this.#run();
		};
		if (restMs > 0) void rested(restMs).then(run);
		else run();
	}

	#nextBatch(): QueueLane[] {
		const shares = [...this.#shares.values()].sort((a, b) => a.spent - b.spent);
		for (const { line } of shares) while (line[0]?.closed) line.shift();
		const next = shares.find(({ line }) => line.length > 0);
		if (!next) return [];
		this.#spent = next.spent;
		const first = next.line[0]!;
		const { rows, logits } = first.work[0]!;
		first.together = first.run();
		if (rows > 1 || first.together > 1) return [next.line.shift()!];
		const fits = (lane: QueueLane): boolean => {
			const [work] = lane.work;
			if (lane.closed || work?.rows !== 1 || lane.run() > 1) return false;
			return work.logits === logits && lane.handle.id === first.handle.id;
		};
		const taking = shares.filter(({ line }) => line.some(fits));
		const most = Math.ceil(MOST_ROWS / taking.length);
		const batch: QueueLane[] = [];
		for (const { line } of taking) {
			const taken = line.filter(fits).slice(0, Math.min(most, MOST_ROWS - batch.length));
			for (const lane of taken) {
				line.splice(line.indexOf(lane), 1);
				lane.together = 1;
			}
			batch.push(...taken);
		}
		return batch;
	}

	#forward(batch: readonly QueueLane[]): Promise<ForwardResult[]> {
		const rows = batch.map(({ stream, work, together }) => {
			const { position, input } = work[0]!;
			const inputs = work.slice(0, together).map((each) => each.input);
			return { stream, position, input: together > 1 ? joined(inputs) : input };
		});
		const { handle, work, together } = batch[0]!;
		const { logits } = work[0]!;
		// Where that would take as long as one after the other, what is known goes like a prompt.
		const oneByOne = work[0]!.oneByOne || (together > 1 && this.#engine.info.exactProducts);
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
		const { together } = lane;
		this.#hand(lane, together > 1 ? rowsOf(result) : [result], ms / together);
	}

	/** Gives each step of a run its result. */
	#hand(lane: QueueLane, [result, ...others]: readonly ForwardResult[], ms: number): void {
		const work = lane.work.shift();
		if (lane.closed || !work) return;
		lane.wake();
		let taken: Promise<void> | undefined;
		try {
			taken = work.onResult(result!, ms);
		} catch (error) {
			this.#fail(lane, error);
			return;
		}
		const next = (): void => (others.length > 0 ? this.#hand(lane, others, ms) : this.#again(lane));
		if (taken) taken.then(next, (error) => this.#fail(lane, error));
		else next();
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

/** Whether a step is one position behind which nobody waits for a token: what follows is there, or about to come. */
function isKnownAndSingle(work: Work | undefined): boolean {
	return work?.rows === 1 && work.logits === "none" && work.truncateTo === undefined;
}

function joined(inputs: readonly ForwardRow["input"][]): ForwardRow["input"] {
	const [first] = inputs as readonly [ForwardRow["input"]];
	if (first instanceof Int32Array)
		return Int32Array.from((inputs as Int32Array[]).flatMap((each) => [...each]));
	const { columns } = first;
	const data = new Float32Array(inputs.length * columns);
	for (const [i, input] of inputs.entries()) data.set((input as HiddenState).data, i * columns);
	return { rows: inputs.length, columns, data };
}

/** What came out behind each position. */
function rowsOf({ hidden }: ForwardResult): ForwardResult[] {
	const { rows, columns, data } = hidden!;
	return Array.from({ length: rows }, (_, i) => ({
		hidden: { rows: 1, columns, data: data.subarray(i * columns, (i + 1) * columns) },
	}));
}

/** Waits no less than that, whatever the timers of this platform round to. */
async function rested(ms: number): Promise<void> {
	const until = performance.now() + ms;
	for (let left = ms; left > 0; left = until - performance.now()) await wait(Math.ceil(left));
}

/** Timers of a hidden page come once a second; this wait, where the page may have shared memory, is not held to that. */
async function wait(ms: number): Promise<void> {
	if (typeof SharedArrayBuffer === "function" && typeof Atomics.waitAsync === "function") {
		await Atomics.waitAsync(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms).value;
	} else {
		await new Promise((resolve) => setTimeout(resolve, ms));
	}
}
