import type { EnvelopeSigner } from "@tabmesh/dauth";
import type { Directory } from "@tabmesh/directory";
import {
	type Engine,
	type EngineHandle,
	type LoadProgress,
	type ShardSource,
	tensorsOfSpan,
	type WeightFormat,
} from "@tabmesh/model";
import {
	deal,
	growth,
	isSoonWhole,
	ModelDrafter,
	modelSizes,
	rebalance,
	type SignedReceipt,
	type StageServer,
	StalledLenders,
	serveStages,
	spanContains,
	spanOf,
} from "@tabmesh/pipeline";
import type { Peer } from "@tabmesh/transport";
import {
	type Announcement,
	OutOfMemoryBudgetError,
	protocolVersion,
	type Span,
	TabmeshError,
	WeightFormatError,
} from "@tabmesh/wire";
import { TypedEventEmitter } from "main-event";
import { announcedLinks } from "./announcedLinks.ts";
import type { DevicePreferences } from "./devicePreferences.ts";
import type { DeviceStorage } from "./deviceStorage.ts";
import { isMaterialChange } from "./materialChange.ts";
import { modelView } from "./modelView.ts";
import type { NetworkModel } from "./networkModel.ts";
import { NextLayers } from "./nextLayers.ts";
import { type OpenedDraftModel, openDraftModel } from "./openDraftModel.ts";
import { type ReadingAhead, readingAhead } from "./readingAhead.ts";
import { sparingFormat } from "./sparingFormat.ts";
import type { Lender, LenderRest, LenderView, LendOptions } from "./tabmesh.ts";
import { type Absence, watchAbsence } from "./watchAbsence.ts";
import { isMetered } from "./watchDevice.ts";
import { bitsPerWeight, weightChoice } from "./weightChoice.ts";

/** What of the network a lender needs. */
export interface LenderNetwork {
	readonly peer: Peer;
	readonly directory: Directory;
	readonly room: string;
	readonly signer: EnvelopeSigner;
	/** Chain on which receipts may be settled (EIP-155); 0 for none. */
	readonly chainId: number;
	/** Told of what the asker of a stream that has ended signed for. */
	readonly onReceipt: (signed: SignedReceipt) => void;
	/** Rejects where this peer may not lend in the room. */
	admit(): Promise<void>;
	readonly minStages: number;
	readonly kind: "page" | "node";
	model(nameOrId: string | undefined): Promise<NetworkModel>;
	source(model: NetworkModel): ShardSource;
	/** Lets nobody on this device free what is kept of a model, until the returned function is called. */
	hold(model: NetworkModel): Promise<() => void>;
	/** What this device keeps; undefined where it keeps nothing. */
	readonly storage: Pick<DeviceStorage, "view"> | undefined;
	/** Keeps what of a model only askers need, so that they can have it from here. */
	keepForAskers(model: NetworkModel): Promise<void>;
	/** When and how much the owner lends. */
	readonly preferences: DevicePreferences;
}

/** Announcements of peers that join at the same moment cross; deciding again after they met moves layers once, not with each. */
const settleMs = 250;
/** A lender whose layers nobody else holds moves only when that stands for so long: whoever seems gone may be back the next moment. */
const confirmMs = 3_000;
/** So long a place where the swarm needs us more must stand: gossip reaches everybody by then, so that two do not move for one gap. */
const rebalanceMs = 5_000;
/**
 * Another weight format is loaded when the swarm wanted it for so long: whoever it lacks memory of may be about to join. Lenders wait one
 * after the other, since one of them often is enough.
 */
const formatMs = 15_000;
const formatStepMs = 2_000;
/** Figures that only inform (streams, speed, free memory) are spread this often at most; what routes need goes at once. */
const figuresEveryMs = 10_000;
/** Memory comes free when the streams on the old span end; this catches what comes free without an event. */
const retryMs = 1_000;
/** Whoever served for a minute stays for long, more often than not. */
const nextLayersMs = 60_000;
/** Speed that is assumed before the first measurement: float32 weights read once per token on one core of a laptop. */
const assumedBytesPerMs = 2e7;

interface LenderEvents {
	change: Event;
}

/**
 * This device's share in one model: takes the span that the deal gives it, serves it, moves when the swarm changes, and
 * leaves without a trace. Nothing runs before it is created, and it is created by a click.
 */
export class DeviceLender extends TypedEventEmitter<LenderEvents> implements Lender {
	readonly #network: LenderNetwork;
	readonly #options: LendOptions;
	readonly #joined = Date.now();
	readonly #ended = new AbortController();
	readonly #stalled = new StalledLenders();
	readonly #unwatch: () => void;
	#engine: Engine | undefined;
	#source: ReadingAhead | undefined;
	#next: NextLayers | undefined;
	#server: StageServer | undefined;
	#model: NetworkModel | undefined;
	#drafts: OpenedDraftModel | undefined;
	#held: Span | undefined;
	#loadingSpan: Span | undefined;
	#loading: AbortController | undefined;
	/** Where the deal would have us go while we serve elsewhere, and since when. */
	#doubt: { readonly target: Span; readonly since: number } | undefined;
	/** What may run here, best first; what would run best; and what does run. */
	#formats: readonly [WeightFormat, ...WeightFormat[]] = ["f32"];
	#best: WeightFormat = "f32";
	#weights: WeightFormat = "f32";
	/** The format in which we would serve the swarm better, and since when. */
	#wish: { readonly weights: WeightFormat; readonly since: number } | undefined;
	#wishing: ReturnType<typeof setTimeout> | undefined;
	#heldBytes = 0;
	#usedBytes = 0;
	#settle: ReturnType<typeof setTimeout> | undefined;
	#figures: ReturnType<typeof setTimeout> | undefined;
	#figuresSpread = 0;
	#announced: Announcement | undefined;
	#pausedByOwner = false;
	#frozen = false;
	#rest: LenderRest | undefined;
	#view: LenderView;

	constructor(network: LenderNetwork, options: LendOptions) {
		super();
		this.#network = network;
		this.#options = options;
		this.#view = {
			phase: "joining",
			model: undefined,
			span: undefined,
			growingTo: undefined,
			backend: undefined,
			threads: options.threads ?? 1,
			bitsPerWeight: undefined,
			sparing: false,
			draftsWith: undefined,
			loading: undefined,
			memoryBytes: options.memoryBytes,
			usedBytes: 0,
			rest: undefined,
			absence: undefined,
			streams: 0,
			routes: [],
			tokensServed: 0,
			msPerToken: 0,
			since: this.#joined,
			error: undefined,
		};
		const { preferences } = network;
		preferences.addEventListener("change", this.#onPreferences);
		this.#unwatch = watchAbsence((absence) => this.#onAbsence(absence));
		this.#onPreferences();
		void this.#start();
	}

	get view(): LenderView {
		return this.#view;
	}

	async pause(): Promise<void> {
		this.#pausedByOwner = true;
		await this.#restOrGoOn();
	}

	async resume(): Promise<void> {
		this.#pausedByOwner = false;
		await this.#restOrGoOn();
	}

	async leave(): Promise<void> {
		if (this.#over()) return;
		await this.#end("left", undefined);
	}

	readonly #onPreferences = (): void => {
		if (this.#server) this.#server.computeShare = this.#network.preferences.view.wishes.computeShare;
		void this.#restOrGoOn();
	};

	#onAbsence(absence: Absence): void {
		if (this.#over()) return;
		if (absence.why === "frozen") {
			this.#frozen = absence.until === undefined;
			void this.#restOrGoOn();
		}
		this.#show({ absence });
	}

	get #paused(): boolean {
		return this.#rest !== undefined;
	}

	#restNow(): LenderRest | undefined {
		if (this.#pausedByOwner) return { why: "owner", until: undefined };
		if (this.#frozen) return { why: "frozen", until: undefined };
		const { why, until } = this.#network.preferences.view.verdict;
		return why === undefined ? undefined : { why, until };
	}

	/** Stands still or goes on, as its owner, the preferences and the browser say now. */
	async #restOrGoOn(): Promise<void> {
		if (this.#over()) return;
		const [before, rest] = [this.#rest, this.#restNow()];
		this.#rest = rest;
		if (rest && before) {
			if (rest.why !== before.why || rest.until !== before.until) this.#show({ rest });
			return;
		}
		if (!rest && !before) return;
		if (this.#server) this.#server.paused = this.#paused;
		if (rest) this.#next?.stop();
		else if (this.#held && !this.#loadingSpan) this.#next?.from(this.#held);
		this.#show({ phase: this.#phase(), rest });
		await this.#announce();
		if (!rest) this.#reconsiderSoon();
	}

	#phase(): LenderView["phase"] {
		if (this.#paused) return "paused";
		if (this.#loadingSpan && !this.#growingTo) return "loading";
		if (this.#held) return "serving";
		return this.#engine ? "waiting" : "joining";
	}

	/** What is being loaded, where what is served is a part of it. */
	get #growingTo(): Span | undefined {
		return this.#held && this.#loadingSpan && spanContains(this.#loadingSpan, this.#held)
			? this.#loadingSpan
			: undefined;
	}

	#over(): boolean {
		return this.#ended.signal.aborted;
	}

	async #start(): Promise<void> {
		try {
			const [model] = await Promise.all([
				this.#network.model(this.#options.model),
				// Who only asks never loads an engine.
				import("@tabmesh/inference"),
				this.#network.admit(),
			]);
			this.#model = model;
			this.#showSwarm();
			// Opened now: the store is ready when the engine is.
			this.#source = readingAhead(this.#network.source(model));
			this.#holdUntilTheEnd(model);
			this.#prepareNext(model, this.#source);
			await this.#openDrafts(model);
			await this.#openEngine(model);
			if (this.#over()) return;
			this.#network.directory.addEventListener("change", this.#onSwarm);
			await this.#announce();
			// Where others are about to choose as well, hearing them first saves both from loading the same.
			if (this.#othersChoose(model)) this.#reconsiderSoon();
			else await this.#reconsider();
		} catch (error) {
			if (!this.#over()) await this.#end("failed", error);
		}
	}

	/** Whoever announces layers gives their blocks to others: they stay as long as we lend. */
	#holdUntilTheEnd(model: NetworkModel): void {
		this.#network.hold(model).then(
			(release) => {
				if (this.#over()) release();
				else this.#ended.signal.addEventListener("abort", release, { once: true });
			},
			() => {},
		);
	}

	/** Without a disk, and where the owner pays for each byte, nothing is fetched that was not asked for. */
	#prepareNext(model: NetworkModel, source: ShardSource): void {
		const { storage, directory } = this.#network;
		const { nextLayersAfterMs: afterMs = nextLayersMs } = this.#options;
		if (!storage || afterMs === Number.POSITIVE_INFINITY || isMetered()) return;
		this.#next = new NextLayers({
			model,
			source,
			storage,
			afterMs,
			holders: () => modelView(model, directory.members, this.#network.minStages).coverage.holders,
			isBusy: () => this.#server!.streams > 0,
		});
		this.#next.addEventListener("change", () => this.#spreadFigures());
	}

	/** Loads the small model that the owner chose to guess with, if any. */
	async #openDrafts(target: NetworkModel): Promise<void> {
		const { draftModel, memoryBytes: lentBytes, backend, threads } = this.#options;
		if (draftModel === undefined) return;
		const model = await this.#network.model(draftModel);
		const drafts = await openDraftModel(model, target, this.#network.source(model), {
			...(backend === undefined ? {} : { backend }),
			...(threads === undefined ? {} : { threads }),
			lentBytes,
			signal: this.#ended.signal,
		});
		this.#drafts = drafts;
		this.#show({ draftsWith: model.name });
		if (this.#over()) await drafts.engine.close();
	}

	/** What is lent beside the small model. */
	get #memoryBytes(): number {
		return Math.max(0, this.#options.memoryBytes - (this.#drafts?.memoryBytes ?? 0));
	}

	/**
	 * Starts the engine and serves with it.
	 *
	 * @param weights - a format of those that may run here; without it, the best of them
	 * @throws EngineUnavailableError, WeightFormatError when it runs in no format
	 */
	async #openEngine(model: NetworkModel, weights?: WeightFormat): Promise<void> {
		const { createEngine } = await import("@tabmesh/inference");
		const { backend, threads, heapBytes } = this.#options;
		const memoryBytes = this.#memoryBytes;
		let offered = model.formats;
		for (;;) {
			const choice = weightChoice(offered);
			const best = { cpu: choice.cpu[0], webgpu: choice.webgpu[0], wasm: choice.wasm[0] };
			let engine: Engine;
			try {
				engine = await createEngine({
					memoryBytes,
					weights: weights ?? best,
					...(backend === undefined ? {} : { backend }),
					...(threads === undefined ? {} : { threads }),
					...(heapBytes === undefined ? {} : { heapBytes }),
				});
			} catch (error) {
				const refused = error instanceof WeightFormatError ? error.details.weights : undefined;
				if (!offered.some((format) => format === refused)) throw error;
				offered = offered.filter((format) => format !== refused);
				continue;
			}
			if (this.#over()) return await engine.close();
			const { backend: here, threads: used } = engine.info;
			if (!weights) {
				this.#formats = choice[here];
				this.#best = best[here];
			}
			this.#weights = weights ?? best[here];
			this.#serve(model, engine);
			this.#show({
				phase: this.#phase(),
				span: undefined,
				growingTo: undefined,
				loading: undefined,
				backend: here,
				threads: used,
				bitsPerWeight: bitsPerWeight[this.#weights],
				sparing: this.#weights !== this.#best,
			});
			return;
		}
	}

	#serve(model: NetworkModel, engine: Engine): void {
		this.#engine = engine;
		const drafts = this.#drafts;
		engine.addEventListener("devicelost", this.#onDeviceLost);
		this.#server = serveStages({
			peer: this.#network.peer,
			signer: this.#network.signer,
			chainId: this.#network.chainId,
			onReceipt: this.#network.onReceipt,
			engine,
			source: this.#source!,
			room: this.#network.room,
			models: (id) => (id === model.id ? model : undefined),
			...(drafts ? { drafter: () => new ModelDrafter(drafts) } : {}),
		});
		this.#server.paused = this.#paused;
		this.#server.computeShare = this.#network.preferences.view.wishes.computeShare;
		this.#server.addEventListener("change", this.#onServing);
	}

	/** Goes on in another format: with an engine of its own, since a peer has one numerics class. */
	async #changeFormat(model: NetworkModel, weights: WeightFormat): Promise<void> {
		const [engine, server] = [this.#engine!, this.#server!];
		this.#engine = undefined;
		this.#loading?.abort();
		this.#held = undefined;
		this.#loadingSpan = undefined;
		this.#wish = undefined;
		server.removeEventListener("change", this.#onServing);
		engine.removeEventListener("devicelost", this.#onDeviceLost);
		// Whoever plans a route now must not count on us.
		await this.#announce();
		await server.close();
		await engine.close();
		if (this.#over()) return;
		try {
			await this.#openEngine(model, weights);
			if (this.#over()) return;
			await this.#announce();
			await this.#reconsider();
		} catch (error) {
			if (!this.#over()) await this.#end("failed", error);
		}
	}

	/**
	 * Whether another format is on its way: at once where we can hold nothing in this one, else when the swarm wanted it for a while and no
	 * stream runs here.
	 */
	#seekFormat(model: NetworkModel, target: Span | undefined, doubted: ReadonlySet<string>): boolean {
		const { directory, minStages, peer } = this.#network;
		if (this.#formats.length === 1) return false;
		const { weights, span } = sparingFormat(directory.members, model, peer.id, this.#formats, {
			minStages,
			doubted,
		});
		clearTimeout(this.#wishing);
		if (weights === this.#weights) {
			this.#wish = undefined;
			return false;
		}
		const now = performance.now();
		if (this.#wish?.weights !== weights) this.#wish = { weights, since: now };
		const lenders = directory.members.filter(({ lends }) => lends?.models.includes(model.id));
		const before = lenders.filter(({ joined }) => joined < this.#joined).length;
		const wait = this.#wish.since + formatMs + before * formatStepMs - now;
		const isUseless = !target && !this.#held && span !== undefined;
		if ((isUseless || wait <= 0) && this.#server!.streams === 0) {
			void this.#changeFormat(model, weights);
			return true;
		}
		this.#wishing = setTimeout(() => void this.#reconsider(), Math.max(wait, retryMs));
		return false;
	}

	#othersChoose(model: NetworkModel): boolean {
		return this.#network.directory.members.some(
			({ peer, lends }) =>
				peer !== this.#network.peer.id && lends?.models.includes(model.id) && lends.spans.length === 0,
		);
	}

	#othersHold(model: NetworkModel, { from, to }: Span): boolean {
		const others = this.#network.directory.members
			.filter(({ peer }) => peer !== this.#network.peer.id)
			.flatMap(({ lends }) => lends?.spans.filter((span) => span.model === model.id && span.ready) ?? []);
		for (let layer = from; layer < to; layer++) {
			if (!others.some((span) => span.from <= layer && layer < span.to)) return false;
		}
		return true;
	}

	readonly #onSwarm = (): void => {
		this.#showSwarm();
		this.#reconsiderSoon();
	};

	readonly #onServing = (): void => {
		const { streams, routes, tokensServed, msPerToken } = this.#server!;
		if (streams > 0) this.#next?.yield();
		this.#show({ streams, routes, tokensServed, msPerToken });
		this.#spreadFigures();
	};

	#spreadFigures(): void {
		this.#figures ??= setTimeout(
			() => {
				this.#figures = undefined;
				if (this.#over() || !isMaterialChange(this.#announced, this.#announcement())) return;
				this.#figuresSpread = Date.now();
				void this.#announce();
			},
			Math.max(0, this.#figuresSpread + figuresEveryMs - Date.now()),
		);
	}

	readonly #onDeviceLost = (): void => {
		// The engine's worker starts again by itself; what was held has to be loaded anew, and grow anew.
		if (this.#growingTo) {
			this.#loading?.abort();
			this.#loadingSpan = undefined;
		}
		this.#held = undefined;
		this.#show({ phase: this.#phase(), span: undefined, growingTo: undefined });
		void this.#announce().then(() => this.#reconsiderSoon());
	};

	#reconsiderSoon(ms = settleMs): void {
		if (this.#over() || this.#paused) return;
		this.#settle ??= setTimeout(() => {
			this.#settle = undefined;
			void this.#reconsider();
		}, ms);
	}

	/** Takes what the deal gives us now; the same as we have, nearly always. */
	async #reconsider(): Promise<void> {
		const model = this.#model;
		if (this.#over() || this.#paused || !model || !this.#engine) return;
		const { directory, minStages, peer } = this.#network;
		const doubted = this.#stalled.of(directory.members, model, performance.now());
		const target = deal(directory.members, model, { minStages, doubted }).assignments.get(peer.id);
		if (this.#seekFormat(model, target, doubted)) return;
		if (!target) {
			if (!this.#held && !this.#loadingSpan && this.#view.phase !== "waiting")
				this.#show({ phase: "waiting" });
			return;
		}
		if (sameSpan(target, this.#loadingSpan ?? this.#held)) {
			const place = this.#isNeededElsewhere(model, doubted);
			if (!place) this.#doubt = undefined;
			else if (this.#stands(place, rebalanceMs)) await this.#move(model, place);
			return;
		}
		const isMissed = this.#held && !this.#loadingSpan && !this.#othersHold(model, this.#held);
		if (isMissed && !this.#stands(target, confirmMs)) return;
		this.#doubt = undefined;
		await this.#move(model, target);
	}

	/** Where the swarm needs us more than where we are, although every layer is held. */
	#isNeededElsewhere(model: NetworkModel, doubted: ReadonlySet<string>): Span | undefined {
		const { directory, minStages, peer } = this.#network;
		// Who asks for stages wants them spread as they are.
		if (minStages > 1 || this.#loadingSpan) return undefined;
		return rebalance(directory.members, model, { doubted }).get(peer.id);
	}

	/** Whether a better place has been the same for so long; looks again when it may have. */
	#stands(target: Span, ms: number): boolean {
		const now = performance.now();
		if (!sameSpan(target, this.#doubt?.target)) this.#doubt = { target, since: now };
		const wait = this.#doubt!.since + ms - now;
		if (wait > 0) this.#reconsiderSoon(wait);
		else this.#doubt = undefined;
		return wait <= 0;
	}

	/** Loads a span: a large one in parts, each of which is served while the rest is on its way (decision 0026). */
	async #move(model: NetworkModel, target: Span): Promise<void> {
		this.#loading?.abort();
		this.#next?.stop();
		const loading = new AbortController();
		this.#loading = loading;
		this.#loadingSpan = target;
		this.#showSpans();
		await this.#announce();
		if (loading.signal.aborted) return;
		const ahead = new AbortController();
		const forget = this.#server!.spans.expect(model.id, target);
		try {
			const parts = this.#partsOf(model, target);
			this.#source!.begin(model, parts[0], AbortSignal.any([loading.signal, ahead.signal]));
			const bytesOf = (span: Span): number =>
				modelSizes(model.manifest).servingBytes(span, this.#engine!.info.numericsClass);
			for (const part of parts) {
				const began = performance.now();
				const restBytes = bytesOf(target) - bytesOf(part);
				// Streams on the part that is served leave room for the rest.
				this.#server!.promisedBytes = this.#growingTo ? restBytes : 0;
				const handle = await this.#hold(model, part, loading.signal);
				if (loading.signal.aborted) return;
				const had = this.#held && spanContains(part, this.#held) ? bytesOf(this.#held) : 0;
				if (this.#held) this.#server!.spans.drop(model.id, this.#held);
				this.#held = part;
				this.#heldBytes = handle.weightBytes;
				const isWhole = part === parts.at(-1);
				if (isWhole) this.#loadingSpan = undefined;
				else if (isSoonWhole({ bytes: bytesOf(part) - had, ms: performance.now() - began }, restBytes))
					continue;
				this.#usedBytes = await this.#engine!.usedBytes();
				this.#showSpans({ usedBytes: this.#usedBytes, error: undefined });
				await this.#announce();
				if (!isWhole && loading.signal.aborted) return;
			}
			this.#next?.from(target);
			// A courtesy: we serve with or without it.
			this.#network.keepForAskers(model).catch(() => {});
			// The swarm may have changed while we were loading.
			this.#reconsiderSoon();
		} catch (error) {
			if (loading.signal.aborted || this.#over()) return;
			this.#loadingSpan = undefined;
			const [, ...smaller] = this.#formats.slice(this.#formats.indexOf(this.#weights));
			if (error instanceof OutOfMemoryBudgetError && isFilled(smaller)) {
				// What the deal takes to fit does not always, where layers are large and heaps small.
				this.#formats = smaller;
				void this.#changeFormat(model, smaller[0]);
			} else {
				await this.#end("failed", error);
			}
		} finally {
			ahead.abort();
			forget();
			if (this.#loading === loading && this.#server) this.#server.promisedBytes = 0;
		}
	}

	/** The parts of a span in the order in which they are to be served, the last one the span itself. */
	#partsOf(model: NetworkModel, target: Span): readonly [Span, ...Span[]] {
		const { directory, minStages } = this.#network;
		const sizes = modelSizes(model.manifest);
		const { holders } = modelView(model, directory.members, minStages).coverage;
		const bytes = sizes.weightBytes(target, this.#engine!.info.numericsClass);
		const parts = growth(target, holders, bytes)
			.map(({ from, to }) => spanOf(from, to, sizes.layers))
			// Who serves elsewhere gives that up for all of it only: by parts the swarm would lose more than it gains.
			.filter((part) => !this.#held || spanContains(part, this.#held));
		return isFilled(parts) ? parts : [target];
	}

	/** Shows what is held and what is on its way. */
	#showSpans(change: Partial<LenderView> = {}): void {
		const growingTo = this.#growingTo;
		this.#show({
			phase: this.#phase(),
			span: growingTo ? this.#held : (this.#loadingSpan ?? this.#held),
			growingTo,
			loading: undefined,
			...change,
		});
	}

	/** With room for both, the old span serves until the new one does; without, it goes first, when its streams have ended. */
	async #hold(model: NetworkModel, target: Span, signal: AbortSignal): Promise<EngineHandle> {
		const { spans } = this.#server!;
		for (;;) {
			try {
				return await spans.hold(model, target, {
					signal,
					onProgress: (progress) => this.#showLoading(progress),
				});
			} catch (error) {
				const inTheWay = this.#held ?? (this.#server!.streams > 0 ? target : undefined);
				if (!(error instanceof OutOfMemoryBudgetError) || !inTheWay) throw error;
				if (this.#held) {
					await this.#fetchFirst(model, this.#held, target, signal);
					spans.drop(model.id, this.#held);
					this.#held = undefined;
					this.#showSpans();
					// Whoever plans a route now must not count on it any more.
					await this.#announce();
				}
				await this.#changeOfStreams(signal);
			}
		}
	}

	/** Brings a span to the disk, where that has room, so that giving the other one up for it takes seconds and not a download. */
	async #fetchFirst(model: NetworkModel, held: Span, target: Span, signal: AbortSignal): Promise<void> {
		const { storage } = this.#network;
		if (!storage) return;
		const kept = new Set(tensorsOfSpan(model.manifest, held));
		const missing = tensorsOfSpan(model.manifest, target).filter((tensor) => !kept.has(tensor));
		const totalBytes = missing.reduce((sum, { bytes }) => sum + bytes, 0);
		const { usedBytes, budgetBytes } = await storage.view();
		if (usedBytes + totalBytes > budgetBytes) return;
		let loadedBytes = 0;
		for (const tensor of missing) {
			await this.#source!.read(model, tensor, { signal });
			loadedBytes += tensor.bytes;
			this.#showLoading({ phase: "fetch", loadedBytes, totalBytes });
		}
	}

	#changeOfStreams(signal: AbortSignal): Promise<void> {
		const server = this.#server!;
		return new Promise((resolve, reject) => {
			const timer = setTimeout(done, retryMs);
			server.addEventListener("change", done);
			signal.addEventListener("abort", aborted, { once: true });
			function stop(): void {
				clearTimeout(timer);
				server.removeEventListener("change", done);
				signal.removeEventListener("abort", aborted);
			}
			function done(): void {
				stop();
				resolve();
			}
			function aborted(): void {
				stop();
				reject(signal.reason);
			}
		});
	}

	#showLoading(progress: LoadProgress): void {
		this.#show({ loading: progress });
	}

	#showSwarm(): void {
		if (!this.#model) return;
		this.#show({ model: modelView(this.#model, this.#network.directory.members, this.#network.minStages) });
	}

	#show(change: Partial<LenderView>): void {
		this.#view = { ...this.#view, ...change };
		this.dispatchEvent(new Event("change"));
	}

	async #announce(): Promise<void> {
		if (this.#over() || !this.#model || !this.#server) return;
		this.#announced = this.#announcement();
		const announced = this.#network.directory.announce(this.#announced);
		// Not awaited: an engine that is compiling answers late.
		if (this.#engine) void this.#measureMemory(this.#engine);
		await announced;
	}

	async #measureMemory(engine: Engine): Promise<void> {
		const usedBytes = await engine.usedBytes().catch(() => this.#usedBytes);
		if (this.#over() || usedBytes === this.#usedBytes) return;
		this.#usedBytes = usedBytes;
		this.#show({ usedBytes });
		this.#spreadFigures();
	}

	#announcement(): Announcement {
		const { room, kind } = this.#network;
		const announcement: Announcement = {
			rooms: [room],
			majors: [protocolVersion.oldestMajor, protocolVersion.major],
			kind,
			joined: this.#joined,
		};
		// Paused: still here, but no lender, so that others take the layers over.
		if (this.#paused) return announcement;
		// The same between two engines.
		if (!this.#engine) return announcement;
		const { streams, msPerToken, keptBytes } = this.#server!;
		const model = this.#model!.id;
		const spans = [
			...(this.#held ? [{ model, ...this.#held, ready: true, msPerToken }] : []),
			...(this.#loadingSpan ? [{ model, ...this.#loadingSpan, ready: false, msPerToken: 0 }] : []),
		];
		return {
			...announcement,
			lends: {
				numericsClass: this.#engine.info.numericsClass,
				memoryBytes: this.#memoryBytes,
				// What is kept of finished streams gives way.
				freeBytes: Math.max(0, this.#memoryBytes - this.#usedBytes + keptBytes),
				bytesPerMs: msPerToken > 0 && this.#heldBytes > 0 ? this.#heldBytes / msPerToken : assumedBytesPerMs,
				models: [model],
				spans,
				streams,
				links: announcedLinks(this.#network.peer.connections),
				...(this.#next?.stored ? { stored: [{ model, ...this.#next.stored }] } : {}),
			},
		};
	}

	async #end(phase: "left" | "failed", reason: unknown): Promise<void> {
		this.#ended.abort();
		this.#unwatch();
		this.#network.preferences.removeEventListener("change", this.#onPreferences);
		this.#next?.stop();
		clearTimeout(this.#settle);
		clearTimeout(this.#wishing);
		clearTimeout(this.#figures);
		this.#loading?.abort();
		this.#network.directory.removeEventListener("change", this.#onSwarm);
		this.#server?.removeEventListener("change", this.#onServing);
		// Asked before anything is waited for: a page that is being closed gets no further.
		const handedOver = this.#server?.leave();
		await this.#network.directory.leave().catch(() => {});
		await handedOver;
		await this.#server?.close();
		await this.#engine?.close();
		await this.#drafts?.engine.close();
		const error =
			reason === undefined || reason instanceof TabmeshError
				? reason
				: new TabmeshError("Lending ended because of an error inside Tabmesh.", { cause: reason });
		this.#show({
			phase,
			error,
			span: undefined,
			growingTo: undefined,
			loading: undefined,
			rest: undefined,
			streams: 0,
			routes: [],
			usedBytes: 0,
		});
	}
}

function isFilled<T>(list: readonly T[]): list is readonly [T, ...T[]] {
	return list.length > 0;
}

function sameSpan(a: Span, b: Span | undefined): boolean {
	return b !== undefined && a.from === b.from && a.to === b.to && a.embed === b.embed && a.head === b.head;
}
