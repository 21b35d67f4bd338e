import {
	composeNothing,
	EmbeddingTable,
	type Engine,
	type EngineHandle,
	type EngineInfo,
	embeddingTensor,
	type ForwardOptions,
	type ForwardResult,
	type ForwardRow,
	type GraphFormat,
	graphNames,
	keyValueBytesPerToken,
	type LoadProgress,
	type LoadSpec,
	type LogitsWanted,
	type ShardSource,
	type StreamKey,
} from "@tabmesh/model";
import {
	DeviceLostError,
	EngineInputError,
	EngineUnavailableError,
	type HiddenState,
	type ModelConfig,
	OutOfMemoryBudgetError,
	type Span,
} from "@tabmesh/wire";
import type { InferenceSession, Tensor } from "onnxruntime-common";
import { checkMaxTokens, checkPositions, checkSpan } from "./engineCalls.ts";
import { EngineEventTarget } from "./engineEventTarget.ts";
import { defaultPieceBytes, type EngineOptions } from "./engineOptions.ts";
import { fetchProgress } from "./fetchProgress.ts";
import { FixedKeyValues, fixedKeyValueNames } from "./fixedKeyValues.ts";
import { GrowingKeyValues } from "./growingKeyValues.ts";
import type { KeyValues } from "./keyValues.ts";
import { makeWeights } from "./makeWeights.ts";
import { byPlace, gapsBetween, partsWithin } from "./partsOfSpan.ts";
import type { ExternalWeight, Runtime } from "./runtime.ts";
import { loadedBytes, pieceBytes, type SpanPiece, spanPieces } from "./spanPieces.ts";
import { TensorFetcher } from "./tensorFetcher.ts";

/**
 * Where several positions attend one by one, each has the keys and the values of the stream before its eyes in a copy of its own: so many
 * bytes of either for all of them. More positions than that take several runs.
 */
const copiesBytes = 32 * 1024 * 1024;

/**
 * Attention takes several positions of a stream in blocks: of twice the head's size, or of what the processor's cache holds, a multiple of
 * sixteen either way. A last block of one position goes through the kernel for one, which adds up in another order.
 */
const blockStep = 16;
/** So many positions at the end go in a run of their own where such a block would be left. */
const ownRun = 9;

/** A loaded span and all that runs it. */
interface Loaded extends LoadedParts {
	readonly handle: EngineHandle;
	readonly model: string;
	readonly config: ModelConfig;
}

interface LoadedParts {
	/** Where the span embeds. */
	readonly embedding: LoadedEmbedding | undefined;
	/** One behind the other; none where a span only embeds. */
	readonly pieces: readonly LoadedPiece[];
}

/** Something in memory that several spans may be made of. */
interface Shared {
	readonly bytes: number;
	/** Spans that it is a part of, those on their way included. */
	users: number;
}

interface LoadedEmbedding extends Shared {
	readonly table: EmbeddingTable;
}

interface LoadedPiece extends Shared {
	readonly span: Span;
	readonly session: InferenceSession;
	readonly keyValues: KeyValues;
}

interface Stream {
	readonly loaded: Loaded;
	maxTokens: number;
	bytes: number;
	length: number;
}

/** A row whose call has been checked. */
interface CheckedRow extends ForwardRow {
	readonly state: Stream;
	/** Positions it adds. */
	readonly count: number;
}

/** The engine of `@tabmesh/model` over one ONNX Runtime: the same code in a page's worker and in Node. */
export class SpanEngine extends EngineEventTarget implements Engine {
	readonly info: EngineInfo;
	readonly #runtime: Runtime;
	readonly #format: GraphFormat;
	readonly #pieceBytes: number;
	readonly #loaded = new Map<number, Loaded>();
	readonly #streams = new Map<StreamKey, Stream>();
	readonly #closing = new AbortController();
	#usedBytes = 0;
	#lost: string | undefined;
	#nextHandle: number;
	/** ONNX Runtime takes one create or run at a time. */
	#last: Promise<unknown> = Promise.resolve();

	/** @param firstHandle - ids count from here, so that a worker started again gives none out twice */
	constructor(
		runtime: Runtime,
		{ memoryBytes, pieceBytes = defaultPieceBytes }: Pick<EngineOptions, "memoryBytes" | "pieceBytes">,
		firstHandle = 1,
	) {
		super();
		this.#pieceBytes = pieceBytes;
		this.#runtime = runtime;
		this.#nextHandle = firstHandle;
		const { backend, halfActivations, threads, numericsClass, exactProducts, weights, device } = runtime;
		this.#format = { weights, keyValues: device ? "present" : "rows" };
		void runtime.device?.lost.then(({ reason, message }) => this.#lose(message || reason));
		// The run time compiles itself while the first span is being fetched. Should that fail, the first load says so.
		void this.#inTurn(async () => (await runtime.createSession(composeNothing(), [], [])).release()).catch(
			() => {},
		);
		this.info = { backend, halfActivations, threads, numericsClass, exactProducts, memoryBytes };
	}

	async usedBytes(): Promise<number> {
		return this.#usedBytes;
	}

	async load(
		spec: LoadSpec,
		source: ShardSource,
		options: { signal?: AbortSignal; onProgress?: (progress: LoadProgress) => void } = {},
	): Promise<EngineHandle> {
		const { manifest, id } = spec.model;
		const { config } = manifest;
		checkSpan(spec.span, config);
		const here = this.#partsOf(spec);
		const pieces = gapsBetween(
			spec.span,
			here.pieces.map(({ span }) => span),
		).flatMap((gap) => spanPieces(manifest, gap, this.#format, this.#pieceBytes));
		const missing = { ...spec.span, embed: spec.span.embed && !here.embedding };
		const bytes = loadedBytes(manifest, missing, pieces);
		this.#checkSizes(pieces);
		this.#take(bytes, "the span");
		const shared = sharedOf(here);
		for (const part of shared) part.users++;
		const signal = AbortSignal.any([this.#closing.signal, ...(options.signal ? [options.signal] : [])]);
		try {
			const made = await this.#loadPieces(
				{ ...spec, span: missing },
				pieces,
				source,
				signal,
				options.onProgress,
			);
			const loaded: LoadedParts = {
				embedding: here.embedding ?? made.embedding,
				pieces: [...here.pieces, ...made.pieces].sort(byPlace),
			};
			const handle: EngineHandle = {
				id: this.#nextHandle++,
				span: spec.span,
				weightBytes: sharedOf(loaded).reduce((sum, part) => sum + part.bytes, 0),
				keyValueBytesPerToken: keyValueBytesPerToken(config, spec.span),
			};
			this.#loaded.set(handle.id, { handle, model: id, config, ...loaded });
			return handle;
		} catch (error) {
			this.#usedBytes -= bytes;
			await this.#inTurn(() => this.#letGoOf(here));
			throw error;
		}
	}

	/** What is in memory already of a span that is to be loaded: it becomes a part of that, too. */
	#partsOf({ model, span }: LoadSpec): LoadedParts {
		const loaded = [...this.#loaded.values()].filter(({ model: id }) => id === model.id);
		return {
			embedding: span.embed ? loaded.find(({ embedding }) => embedding)?.embedding : undefined,
			pieces: partsWithin(
				span,
				loaded.flatMap(({ pieces }) => pieces),
			),
		};
	}

	/** Frees what no other span is made of. In turn only. */
	async #letGoOf(parts: LoadedParts): Promise<void> {
		for (const part of sharedOf(parts)) {
			part.users--;
			if (part.users > 0) continue;
			this.#usedBytes -= part.bytes;
			if ("session" in part) await part.session.release();
		}
	}

	#checkSizes(pieces: readonly SpanPiece[]): void {
		const largest = this.#runtime.largestWeightBytes ?? Number.POSITIVE_INFINITY;
		const tooLarge = pieces.flatMap(({ graph }) => graph.weights).find(({ bytes }) => bytes > largest);
		if (tooLarge) {
			throw new OutOfMemoryBudgetError(`This GPU takes no buffer as large as ${tooLarge.name}.`, {
				details: { bytes: tooLarge.bytes, largest },
			});
		}
	}

	/**
	 * Three pieces are under way at a time, each in its own step: the tensors of one are fetched, the weights of the one before are
	 * made of theirs, and the one before that is compiled.
	 */
	async #loadPieces(
		{ model, span }: LoadSpec,
		pieces: readonly SpanPiece[],
		source: ShardSource,
		signal: AbortSignal,
		onProgress: ((progress: LoadProgress) => void) | undefined,
	): Promise<LoadedParts> {
		const { manifest } = model;
		const table = span.embed ? embeddingTensor(manifest).name : undefined;
		const wanted = new Set([
			...(table === undefined ? [] : [table]),
			...pieces.flatMap(({ graph }) => graph.weights.flatMap(({ sources }) => sources)),
		]);
		const wantedBytes = manifest.tensors
			.filter(({ name }) => wanted.has(name))
			.reduce((sum, tensor) => sum + tensor.bytes, 0);
		onProgress?.({ phase: "fetch", loadedBytes: 0, totalBytes: wantedBytes });
		const fetcher = new TensorFetcher(model, source, {
			signal,
			onBytes: fetchProgress(() => wantedBytes, onProgress),
		});
		// The largest first: what is free again after it is room enough for each of the others.
		const order = pieces.toSorted((a, b) => b.graph.weightBytes - a.graph.weightBytes);
		const needs = order.map(({ graph }) => new Set(graph.weights.flatMap(({ sources }) => sources)));
		const totalBytes = order.reduce((sum, { graph }) => sum + graph.weightBytes, 0);
		const maker = this.#runtime.openWeightMaker?.();

		const fetch = (i: number): Promise<void> => {
			const fetching = fetcher.fetch([
				...(i === 0 && table !== undefined ? [table] : []),
				...(needs[i] ?? []),
			]);
			// Awaited later; a failure before that is not unhandled.
			fetching.catch(() => {});
			return fetching;
		};
		const make = (i: number): Promise<ExternalWeight[]> => {
			const later = new Set(needs.slice(i + 1).flatMap((names) => [...names]));
			const tensors = new Map([...needs[i]!].map((name) => [name, fetcher.get(name)]));
			fetcher.keep(later);
			const given = [...tensors]
				.filter(([name]) => name !== table && !later.has(name))
				.map(([, tensor]) => tensor);
			const { span, graph } = order[i]!;
			const making = maker
				? maker.make({ manifest, span, format: this.#format, tensors }, given)
				: Promise.resolve(makeWeights(graph, tensors));
			making.catch(() => {});
			return making;
		};

		let loadedBytes = 0;
		const made = new Map<SpanPiece, LoadedPiece>();
		try {
			await fetch(0);
			const embedding =
				table === undefined
					? undefined
					: {
							table: new EmbeddingTable(fetcher.get(table)),
							bytes: embeddingTensor(manifest).bytes,
							users: 1,
						};
			let making = order.length > 0 ? make(0) : undefined;
			let fetching = fetch(1);
			for (const [i, piece] of order.entries()) {
				const weights = await making!;
				await fetching;
				making = i + 1 < order.length ? make(i + 1) : undefined;
				fetching = fetch(i + 2);
				const session = await this.#compile(piece, piece === pieces.at(-1), weights, signal);
				if (maker) letGo(weights);
				made.set(piece, {
					bytes: pieceBytes(piece),
					users: 1,
					span: piece.span,
					session,
					keyValues: this.#keyValues(manifest.config, piece.span),
				});
				loadedBytes += piece.graph.weightBytes;
				// Fetching ends before compiling does; until then that is what people wait for.
				if (i + 2 >= order.length - 1) onProgress?.({ phase: "compile", loadedBytes, totalBytes });
			}
			signal.throwIfAborted();
			return { embedding, pieces: pieces.map((piece) => made.get(piece)!) };
		} catch (error) {
			fetcher.stop(error);
			for (const { session } of made.values()) await this.#inTurn(() => session.release());
			throw error;
		} finally {
			maker?.close();
		}
	}

	#compile(
		{ span, graph }: SpanPiece,
		isLast: boolean,
		weights: readonly ExternalWeight[],
		signal: AbortSignal,
	): Promise<InferenceSession> {
		return this.#inTurn(() => {
			signal.throwIfAborted();
			const onDevice = this.#runtime.device
				? [
						...fixedKeyValueNames(span).map(([, present]) => present),
						...(isLast ? [] : [graphNames.hiddenOut]),
					]
				: [];
			return this.#runtime.createSession(graph.model, weights, onDevice).catch((cause: unknown) => {
				throw this.#failure("The model cannot be prepared on this device.", cause);
			});
		});
	}

	#keyValues(config: ModelConfig, span: Span): KeyValues {
		const { device } = this.#runtime;
		return device
			? new FixedKeyValues(device, this.#runtime, config, span)
			: new GrowingKeyValues(this.#runtime, config, span);
	}

	async unload(handle: EngineHandle): Promise<void> {
		await this.#inTurn(async () => {
			const loaded = this.#find(handle);
			this.#loaded.delete(handle.id);
			for (const [key, stream] of this.#streams) if (stream.loaded === loaded) this.#free(key, stream);
			await this.#letGoOf(loaded);
		});
	}

	async reserve(handle: EngineHandle, stream: StreamKey, maxTokens: number): Promise<void> {
		const loaded = this.#find(handle);
		if (this.#streams.has(stream)) throw new EngineInputError("This stream has its memory already.");
		checkMaxTokens(maxTokens, loaded.config);
		const bytes = maxTokens * loaded.handle.keyValueBytesPerToken;
		this.#take(bytes, "the stream");
		for (const { keyValues } of loaded.pieces) keyValues.reserve(stream, maxTokens);
		this.#streams.set(stream, { loaded, maxTokens, bytes, length: 0 });
	}

	async resize(stream: StreamKey, maxTokens: number): Promise<void> {
		await this.#inTurn(async () => {
			const state = this.#streamOf(stream);
			const { loaded, length } = state;
			checkMaxTokens(maxTokens, loaded.config);
			checkPositions(length, maxTokens);
			const bytes = maxTokens * loaded.handle.keyValueBytesPerToken;
			if (bytes > state.bytes) this.#take(bytes - state.bytes, "the stream");
			else this.#usedBytes -= state.bytes - bytes;
			state.maxTokens = maxTokens;
			state.bytes = bytes;
			for (const { keyValues } of loaded.pieces) keyValues.resize({ stream, length }, maxTokens);
		});
	}

	async fork(stream: StreamKey, from: StreamKey, positions: number, maxTokens: number): Promise<void> {
		await this.#inTurn(async () => {
			const { loaded, length } = this.#streamOf(from);
			if (this.#streams.has(stream)) throw new EngineInputError("This stream has its memory already.");
			checkMaxTokens(maxTokens, loaded.config);
			checkPositions(positions, Math.min(length, maxTokens));
			const bytes = maxTokens * loaded.handle.keyValueBytesPerToken;
			this.#take(bytes, "the stream");
			const begun = { stream: from, length: positions };
			for (const { keyValues } of loaded.pieces) keyValues.fork(stream, begun, maxTokens);
			this.#streams.set(stream, { loaded, maxTokens, bytes, length: positions });
		});
	}

	async forward(
		handle: EngineHandle,
		rows: readonly ForwardRow[],
		options: ForwardOptions,
	): Promise<ForwardResult[]> {
		return this.#inTurn(async () => {
			const loaded = this.#find(handle);
			const checked = this.#check(loaded, rows);
			const results = new Array<ForwardResult>(rows.length);
			const { logits, oneByOne = false } = options;
			for (const group of groupRows(
				checked,
				loaded.pieces.every(({ keyValues }) => keyValues.batches),
			)) {
				const [first] = group;
				const parts = this.#parts(loaded, first!, oneByOne);
				const outputs =
					parts.length > 1 || (oneByOne && first!.count > 1)
						? [await this.#runInParts(loaded, first!, logits, parts, oneByOne)]
						: await this.#run(loaded, group, logits);
				for (const [i, row] of group.entries()) results[checked.indexOf(row)] = outputs[i]!;
			}
			return results;
		});
	}

	async truncate(stream: StreamKey, position: number): Promise<void> {
		await this.#inTurn(async () => {
			const state = this.#streamOf(stream);
			checkPositions(position, state.length);
			state.length = position;
		});
	}

	async release(stream: StreamKey): Promise<void> {
		await this.#inTurn(async () => {
			const state = this.#streams.get(stream);
			if (state) this.#free(stream, state);
		});
	}

	async close(): Promise<void> {
		this.#closing.abort(new EngineInputError("The engine has been closed."));
		for (const loaded of [...this.#loaded.values()]) await this.unload(loaded.handle);
	}

	async #runSession(
		session: InferenceSession,
		feeds: Record<string, Tensor>,
		fetches: Record<string, Tensor | null>,
	): Promise<Record<string, Tensor>> {
		try {
			return (await session.run(feeds, fetches)) as Record<string, Tensor>;
		} catch (cause) {
			throw this.#failure("The model cannot run on this device.", cause);
		}
	}

	/** The typed error for what a run time threw. */
	#failure(message: string, cause: unknown): DeviceLostError | EngineUnavailableError {
		// A trap leaves the WebAssembly instance in pieces: no later call would work.
		if (cause instanceof WebAssembly.RuntimeError) this.#lose(`WebAssembly stopped: ${cause.message}`);
		if (this.#lost !== undefined)
			return new DeviceLostError(`The device went away: ${this.#lost}.`, { cause });
		return new EngineUnavailableError(message, { cause });
	}

	/** Tells once that everything on the device is gone. */
	#lose(reason: string): void {
		if (this.#lost !== undefined || this.#closing.signal.aborted) return;
		this.#lost = reason;
		this.dispatchEvent(new CustomEvent("devicelost", { detail: { reason } }));
	}

	/** Runs `task` when all before it have ended, whether well or not. */
	#inTurn<T>(task: () => Promise<T>): Promise<T> {
		const turn = this.#last.then(task, task);
		this.#last = turn;
		// The caller has the same rejection; this one only keeps the queue going.
		turn.catch(() => {});
		return turn;
	}

	#take(bytes: number, what: string): void {
		const freeBytes = this.info.memoryBytes - this.#usedBytes;
		if (bytes > freeBytes) {
			throw new OutOfMemoryBudgetError(
				`Memory for ${what} takes ${bytes} bytes, and ${freeBytes} are free.`,
				{
					details: { bytes, freeBytes },
				},
			);
		}
		this.#usedBytes += bytes;
	}

	#free(key: StreamKey, stream: Stream): void {
		for (const { keyValues } of stream.loaded.pieces) keyValues.release(key);
		this.#streams.delete(key);
		this.#usedBytes -= stream.bytes;
	}

	#find(handle: EngineHandle): Loaded {
		const loaded = this.#loaded.get(handle.id);
		if (!loaded) throw new EngineInputError("This span is not loaded.", { details: { handle: handle.id } });
		return loaded;
	}

	#streamOf(stream: StreamKey): Stream {
		const state = this.#streams.get(stream);
		if (!state) throw new EngineInputError("There is no such stream.");
		return state;
	}

	/** Makes sure that every row fits its stream, before anything runs. */
	#check(loaded: Loaded, rows: readonly ForwardRow[]): CheckedRow[] {
		const seen = new Set<StreamKey>();
		return rows.map((row) => {
			const state = this.#streams.get(row.stream);
			if (state?.loaded !== loaded) throw new EngineInputError("There is no such stream in this span.");
			if (seen.has(row.stream)) throw new EngineInputError("A batch has two rows of one stream.");
			seen.add(row.stream);
			if (row.position !== state.length) {
				throw new EngineInputError(
					`The stream has ${state.length} positions, and the input begins at ${row.position}.`,
					{ details: { length: state.length, position: row.position } },
				);
			}
			const count = checkInput(row.input, loaded);
			if (count > state.maxTokens - state.length) {
				throw new EngineInputError(`The stream has room for ${state.maxTokens} positions.`, {
					details: { length: state.length, count, maxTokens: state.maxTokens },
				});
			}
			return { ...row, state, count };
		});
	}

	/**
	 * In which runs the positions of a row are computed, so that each has the bits that it always has: as one of several, whichever they
	 * are, or with `oneByOne` as one alone.
	 */
	#parts({ config }: Loaded, { count, state }: CheckedRow, oneByOne: boolean): number[] {
		if (oneByOne) {
			const copyBytes = 4 * config.keyValueHeads * config.headSize * (state.length + count);
			const most = this.info.exactProducts ? Math.max(1, Math.floor(copiesBytes / copyBytes)) : 1;
			const parts: number[] = [];
			for (let left = count; left > 0; left -= most) parts.push(Math.min(most, left));
			return parts;
		}
		const leavesOne = this.info.exactProducts && count > 1 && count % blockStep === 1;
		return leavesOne ? [count - ownRun, ownRun] : [count];
	}

	/** @param oneByOne - in each run positions attend as if each were alone */
	async #runInParts(
		loaded: Loaded,
		row: CheckedRow,
		wanted: LogitsWanted,
		parts: readonly number[],
		oneByOne: boolean,
	): Promise<ForwardResult> {
		const { length } = row.state;
		const results: ForwardResult[] = [];
		try {
			let from = 0;
			for (const count of parts) {
				const to = from + count;
				const asked = wanted === "last" && loaded.handle.span.head && to < row.count ? "none" : wanted;
				const part = { ...row, position: length + from, input: partOf(row.input, from, to), count };
				results.push(...(await this.#run(loaded, [part], asked, oneByOne)));
				from = to;
			}
		} catch (error) {
			row.state.length = length;
			throw error;
		}
		const logits = results.flatMap((result) => result.logits ?? []);
		if (logits.length > 0) return { logits: join(logits, Float32Array) };
		const data = join(
			results.map(({ hidden }) => hidden!.data),
			Float32Array,
		);
		return { hidden: { rows: row.count, columns: loaded.config.hiddenSize, data } };
	}

	/**
	 * One run of rows that add equally many positions, through one piece after the other.
	 *
	 * @param oneByOne - the positions of the only row attend as if each were alone
	 */
	async #run(
		loaded: Loaded,
		rows: readonly CheckedRow[],
		wanted: LogitsWanted,
		oneByOne = false,
	): Promise<ForwardResult[]> {
		const { Tensor } = this.#runtime;
		const { pieces, config } = loaded;
		const count = rows[0]!.count;
		const size = config.hiddenSize;
		const past = rows.map((row) => ({ stream: row.stream, length: row.state.length }));
		const ends = Int32Array.from(rows, (row) => row.state.length + count - 1);
		const alone =
			oneByOne && count > 1 ? Int32Array.from({ length: count }, (_, i) => past[0]!.length + i) : undefined;
		const dims = [rows.length, count, size];
		let hidden: Tensor = new Tensor("float32", inputOf(loaded, rows), dims);
		let logits: Tensor | undefined;
		for (const [i, { span, session, keyValues }] of pieces.entries()) {
			const headRuns = span.head && wanted !== "none";
			// A head by itself has nothing to do where nobody wants logits.
			if (span.head && !headRuns && span.from === span.to) break;
			const bound = keyValues.bind(past, count);
			const feeds: Record<string, Tensor> = { ...bound.feeds, [graphNames.hiddenIn]: hidden };
			if (span.from < span.to) {
				feeds[graphNames.lengths] = new Tensor("int32", ends, [rows.length]);
				feeds[graphNames.total] = new Tensor("int32", Int32Array.of(Math.max(...ends) + 1), [1]);
				if (this.#format.keyValues === "rows") {
					const each = alone ?? ends;
					feeds[graphNames.alone] = new Tensor("bool", Uint8Array.of(alone ? 1 : 0), []);
					feeds[graphNames.aloneLengths] = new Tensor("int32", each, [each.length]);
				}
			}
			if (span.head) {
				const positions = logitRows(rows.length, count, wanted);
				feeds[graphNames.logitRows] = new Tensor("int32", positions, [positions.length]);
			}
			const output = headRuns ? graphNames.logits : graphNames.hiddenOut;
			const results = await this.#runSession(session, feeds, { ...bound.fetches, [output]: null });
			keyValues.keep(results);
			// Between two pieces on a GPU it stays there.
			if (i > 0) hidden.dispose();
			if (headRuns) logits = results[output]!;
			else hidden = results[output]!;
		}
		for (const row of rows) row.state.length += count;

		// Where the head was left out, the hidden states are on the GPU still.
		const data = (await (logits ?? hidden).getData(true)) as Float32Array;
		const share = data.length / rows.length;
		return rows.map((_, i) => {
			const own = rows.length === 1 ? data : data.subarray(i * share, (i + 1) * share);
			return logits ? { logits: own } : { hidden: { rows: count, columns: size, data: own } };
		});
	}
}

function sharedOf({ embedding, pieces }: LoadedParts): (LoadedEmbedding | LoadedPiece)[] {
	return [...(embedding ? [embedding] : []), ...pieces];
}

/** What goes into the first layer: hidden states as they came, or what the embedding has for the tokens. */
function inputOf({ embedding }: Loaded, rows: readonly CheckedRow[]): Float32Array {
	if (embedding)
		return embedding.table.lookUp(
			join(
				rows.map((row) => row.input as Int32Array),
				Int32Array,
			),
		);
	return join(
		rows.map((row) => (row.input as HiddenState).data),
		Float32Array,
	);
}

/** Some positions of an input. */
function partOf(input: ForwardRow["input"], from: number, to: number): ForwardRow["input"] {
	if (input instanceof Int32Array) return input.subarray(from, to);
	const { columns, data } = input;
	return { rows: to - from, columns, data: data.subarray(from * columns, to * columns) };
}

/** How many positions an input adds. */
function checkInput(input: ForwardRow["input"], { config, handle }: Loaded): number {
	if (handle.span.embed) {
		if (!(input instanceof Int32Array)) throw new EngineInputError("This span takes token ids.");
		for (const token of input) {
			if (token < 0 || token >= config.vocabularySize) {
				throw new EngineInputError(`Token ${token} lies outside the vocabulary of ${config.vocabularySize}.`);
			}
		}
		if (input.length === 0) throw new EngineInputError("A row has no tokens.");
		return input.length;
	}
	if (input instanceof Int32Array) throw new EngineInputError("This span takes hidden states.");
	const { rows, columns, data } = input;
	if (columns !== config.hiddenSize || rows < 1 || data.length !== rows * columns) {
		throw new EngineInputError(
			`A hidden state of ${rows} × ${columns} with ${data.length} values does not fit a hidden size of ${config.hiddenSize}.`,
		);
	}
	return rows;
}

/**
 * Which rows go through the model together. GroupQueryAttention batches single positions over pasts of any length; several
 * positions on top of a past it takes only from one stream at a time.
 */
function groupRows(rows: readonly CheckedRow[], batches: boolean): CheckedRow[][] {
	const decoding = batches ? rows.filter((row) => row.count === 1) : [];
	const alone = rows.filter((row) => !decoding.includes(row)).map((row) => [row]);
	return decoding.length > 0 ? [decoding, ...alone] : alone;
}

function logitRows(rows: number, count: number, wanted: LogitsWanted): Int32Array {
	// The head of a prefill whose logits nobody wants still runs for one position: empty tensors are not safe everywhere.
	if (wanted === "none") return Int32Array.of(0);
	if (wanted === "all") return Int32Array.from({ length: rows * count }, (_, i) => i);
	return Int32Array.from({ length: rows }, (_, row) => (row + 1) * count - 1);
}

function join<T extends Int32Array | Float32Array>(parts: readonly T[], Type: new (length: number) => T): T {
	const [only] = parts;
	if (parts.length === 1 && only) return only;
	const whole = new Type(parts.reduce((sum, part) => sum + part.length, 0));
	let at = 0;
	for (const part of parts) {
		whole.set(part, at);
		at += part.length;
	}
	return whole;
}

/** Frees memory at once that would wait for a garbage collection, where the browser can; nobody else has these bytes. */
function letGo(weights: readonly ExternalWeight[]): void {
	for (const { data } of weights) if (data.byteLength > 0) data.buffer.transfer?.(0);
}
