import type { Member } from "@tabmesh/directory";
import type { ModelRef } from "@tabmesh/model";
import {
	deal,
	growth,
	isSoonWhole,
	lapTime,
	modelNeed,
	modelSizes,
	neediestOf,
	planRoute,
	rebalance,
	spanContains,
	spanOf,
} from "@tabmesh/pipeline";
import { type HeldSpan, type MeasuredLink, NoRouteError, type Span } from "@tabmesh/wire";

/** How the peers of a simulated swarm come, go and compute. All randomness comes from `random`. */
export interface SwarmInit {
	readonly models: readonly ModelRef[];
	readonly peers: number;
	/** In [0, 1), the same sequence for the same seed. */
	random(): number;
	/** Milliseconds that somebody who joins will stay. */
	lifetimeMs(random: () => number): number;
	/** Milliseconds that somebody who is there already at the beginning will still stay. @default lifetimeMs */
	residualMs?(random: () => number): number;
	/** Bytes that a peer lends. */
	memoryBytes(random: () => number): number;
	/** Share of peers whose leaving is announced by the page itself; the others fall silent. @default 0.9 */
	politeShare?: number;
	/** @default 10 */
	downloadMbits?: number;
	/**
	 * Bytes of blocks that a peer keeps on its disk, the span that it holds included: it fetches what lies next to its own
	 * layers while it is idle, and fetches before it gives up what it serves, as lenders with a disk do. @default only that span
	 */
	diskBytes?: number;
	/** Whether a peer that serves nothing yet serves the neediest part of its span while it fetches the rest, as lenders do. @default true */
	growing?: boolean;
	/** Share of peers that announce four times the memory and ten times the speed that they have. @default 0 */
	liars?: number;
}

/** What a simulated swarm went through. */
export interface SwarmFigures {
	/** Share of all layers and all time in which a layer had one holder at least, and two at least. */
	readonly covered: number;
	readonly coveredTwice: number;
	/** The same for whole models: the share of models and time in which each of its layers had. */
	readonly modelsCovered: number;
	readonly modelsCoveredTwice: number;
	/** The same for all layers of all models at once. */
	readonly allCoveredTwice: number;
	/** Holders of a layer on the average, those that are still loading left out. */
	readonly meanHolders: number;
	readonly joined: number;
	readonly left: number;
	/** Peers that gave up layers for others, and layers that they loaded for it. */
	readonly moves: number;
	readonly layersMoved: number;
	readonly bytesFetched: number;
	/** Calls of the planner and milliseconds that they took. */
	readonly plans: number;
	readonly planMs: number;
}

interface Range {
	readonly from: number;
	readonly to: number;
}

interface Loading {
	readonly span: Span;
	readonly timer: Timer;
}

interface SimulatedPeer {
	readonly id: string;
	readonly view: View;
	readonly polite: boolean;
	/** What it really has, whatever it announces. */
	readonly memoryBytes: number;
	/** What it announces. */
	member: Member;
	model: number;
	held: Span | undefined;
	loading: Loading | undefined;
	/** Layers whose blocks are on its disk. */
	stored: Range | undefined;
	/** The layer that it fetches for its disk while nothing else is to be fetched. */
	storing: Timer | undefined;
	here: boolean;
	doubt: { readonly span: Span; readonly since: number } | undefined;
}

/** Peers that hear of everything with about the same delay see the same; each such group has its own view of the swarm. */
interface View {
	readonly index: number;
	/** Milliseconds until its peers hear of a change. */
	readonly delayMs: number;
	/** For each model, who is there as far as they know. */
	readonly members: Map<string, Member>[];
	readonly deciding: (Timer | undefined)[];
	readonly needs: (ReturnType<typeof modelNeed> | undefined)[];
}

interface Timer {
	readonly at: number;
	readonly order: number;
	run: (() => void) | undefined;
}

const hourMs = 3_600_000;
/** Gossip reaches everybody within seconds; peers differ by their place in the mesh and by how busy their pages are. */
const viewDelaysMs = [300, 800, 2_000, 5_000];
/** Of those who leave without a word, how many were killed: their relays say so after that time. The others' machines froze or lost their network … */
const killedShare = 0.5;
const killedMs = 3_000;
/** … and are missed after two and a half of their periods of 10 to 50 seconds, and 10 seconds, where no neighbour misses them before (decision 0013). */
const silenceMs = [35_000, 135_000] as const;
/** As in `deviceLender`: decisions wait for announcements that cross, and for doubts to stand. */
const settleMs = 250;
const confirmMs = 3_000;
/** As in `deviceLender`: so long a better place must stand before somebody moves there who is not missed where it is. */
const rebalanceMs = 5_000;
/** Opening a span from the disk: a second to compile, and as fast as IndexedDB reads (decision 0014 measured 400 MB/s). */
const openMs = 1_000;
const diskBytesPerMs = 3e5;
/** As in `deviceLender`: so long somebody serves before it brings more to its disk. */
const nextLayersMs = 60_000;
/** Models that somebody who came before the simulation began chose from. */
const SCARCEST = 40;
/** What every peer runs: blocks of 8 bits on WebGPU. */
const numericsClass = "ort1/webgpu/any/q8/f16";

const nothingTimed = { none: 0, two: 0, modelsNone: 0, modelsTwo: 0, all: 0, holding: 0 };
const nothingCounted = { joined: 0, left: 0, moves: 0, layersMoved: 0, bytesFetched: 0, plans: 0, planMs: 0 };

/** A swarm in simulated time: every peer decides for itself by the planner, on its own view, as `deviceLender` does. */
export class SwarmSimulation {
	readonly #init: SwarmInit;
	readonly #peers = new Map<string, SimulatedPeer>();
	readonly #views: View[];
	readonly #timers: Timer[] = [];
	/** For each model and layer, who serves it. */
	readonly #holders: Int32Array[];
	/** For each model, layers without a holder and with less than two. */
	readonly #lacking: { none: number; two: number }[];
	readonly #layers: number;
	#now = 0;
	#order = 0;
	#born = 0;
	#measuredFrom = 0;
	#layersNone = 0;
	#layersTwo = 0;
	#modelsNone = 0;
	#modelsTwo = 0;
	#holding = 0;
	#lastAccount = 0;
	#time = { ...nothingTimed };
	#counts = { ...nothingCounted };

	constructor(init: SwarmInit) {
		this.#init = init;
		this.#views = viewDelaysMs.map((delayMs, index) => ({
			index,
			delayMs,
			members: init.models.map(() => new Map()),
			deciding: init.models.map(() => undefined),
			needs: init.models.map(() => undefined),
		}));
		const layers = init.models.map(({ manifest }) => manifest.config.layers);
		this.#layers = layers.reduce((sum, count) => sum + count, 0);
		this.#holders = layers.map((count) => new Int32Array(count));
		this.#lacking = layers.map((count) => ({ none: count, two: count }));
		this.#layersNone = this.#layers;
		this.#layersTwo = this.#layers;
		this.#modelsNone = init.models.length;
		this.#modelsTwo = init.models.length;
		this.#settleFirst();
	}

	/** Everybody announced and loaded, as in a swarm that has stood for long. */
	#settleFirst(): void {
		const { models, peers } = this.#init;
		const known = models.map(() => new Map<string, Member>());
		const sizes = models.map(({ manifest }) => {
			const { layers, servingBytes } = modelSizes(manifest);
			return servingBytes(spanOf(0, layers, layers), numericsClass);
		});
		const copies = models.map(() => 0);
		const needs = models.map((model) => modelNeed([], model));
		let scarcest: number[] = [];
		for (let i = 0; i < peers; i++) {
			// One after the other, as they would have come; among the models that the swarm had least of then.
			if (i % models.length === 0 || i % SCARCEST === 0) {
				scarcest = models.map((_, model) => model).sort((a, b) => copies[a]! - copies[b]!);
				scarcest.length = Math.min(scarcest.length, SCARCEST);
			}
			const peer = this.#newPeer((this.#init.residualMs ?? this.#init.lifetimeMs)(this.#init.random));
			const chosen = neediestOf(
				peer.member,
				scarcest.map((model) => models[model]!),
				scarcest.map((model) => needs[model]!),
			);
			const model = chosen ? models.indexOf(chosen) : scarcest[0]!;
			copies[model]! += peer.memoryBytes / sizes[model]!;
			this.#choose(peer, model);
			const here = known[model]!.set(peer.id, peer.member);
			const span = deal([...here.values()], models[model]!).assignments.get(peer.id);
			if (!span) continue;
			this.#keepOnDisk(peer, this.#init.diskBytes ? this.#fullDisk(peer, span) : span);
			this.#serve(peer, span);
			here.set(peer.id, peer.member);
			needs[model] = modelNeed([...here.values()], models[model]!);
		}
		for (const view of this.#views) {
			for (const [model, members] of known.entries()) {
				for (const [id, member] of members) view.members[model]!.set(id, member);
				this.#decideSoon(view, model);
			}
		}
	}

	/** What lies on the disk of somebody who has been here for long. */
	#fullDisk(peer: SimulatedPeer, { from, to }: Range): Range {
		const { layers } = this.#init.models[peer.model]!.manifest.config;
		let bytes = 0;
		for (let layer = from; layer < to; layer++) bytes += this.#layerBytes(peer.model, layer);
		let [start, end] = [from, to];
		for (let side = 0; side < 2 * layers; side++) {
			const layer = side % 2 ? start - 1 : end;
			if (layer < 0 || layer >= layers) continue;
			bytes += this.#layerBytes(peer.model, layer);
			if (bytes > this.#init.diskBytes!) break;
			if (side % 2) start--;
			else end++;
		}
		return { from: start, to: end };
	}

	/** Lets simulated time pass; `churn` lets somebody new join whenever somebody leaves. */
	run(hours: number): void {
		const end = this.#now + hours * hourMs;
		for (;;) {
			const next = this.#timers[0];
			if (!next || next.at > end) break;
			this.#popTimer();
			if (!next.run) continue;
			this.#account(next.at);
			this.#now = next.at;
			next.run();
		}
		this.#account(end);
		this.#now = end;
	}

	/** Forgets what was counted so far: what comes now is measured. */
	measureFromHere(): void {
		this.#account(this.#now);
		this.#measuredFrom = this.#now;
		this.#time = { ...nothingTimed };
		this.#counts = { ...nothingCounted };
	}

	/** Makes `share` of all peers leave at this moment. */
	loseShare(share: number): void {
		for (const peer of [...this.#peers.values()]) if (this.#init.random() < share) this.#leave(peer, false);
	}

	get figures(): SwarmFigures {
		this.#account(this.#now);
		const elapsed = this.#now - this.#measuredFrom;
		const share = (time: number, of: number): number => (elapsed > 0 ? 1 - time / (elapsed * of) : 1);
		return {
			covered: share(this.#time.none, this.#layers),
			coveredTwice: share(this.#time.two, this.#layers),
			modelsCovered: share(this.#time.modelsNone, this.#init.models.length),
			modelsCoveredTwice: share(this.#time.modelsTwo, this.#init.models.length),
			allCoveredTwice: share(this.#time.all, 1),
			meanHolders: elapsed > 0 ? this.#time.holding / elapsed / this.#layers : this.#holding / this.#layers,
			...this.#counts,
		};
	}

	/** Median lap in milliseconds over the models that can be asked, by what is announced. */
	lapMs(): number {
		const laps = this.#init.models.flatMap((model, i) => {
			const members = [...this.#views[0]!.members[i]!.values()];
			const view = { room: "public" };
			try {
				return [lapTime(planRoute(members, model, view), members, model, view).lapMs];
			} catch (error) {
				if (error instanceof NoRouteError) return [];
				throw error;
			}
		});
		return laps.sort((a, b) => a - b)[laps.length >> 1] ?? Number.NaN;
	}

	#planned<T>(plan: () => T): T {
		const start = performance.now();
		const result = plan();
		this.#counts.planMs += performance.now() - start;
		this.#counts.plans++;
		return result;
	}

	#newPeer(lifetimeMs: number): SimulatedPeer {
		const { models, random, liars = 0 } = this.#init;
		const memoryBytes = this.#init.memoryBytes(random);
		const bytesPerMs = 5e6 * 2 ** (4 * random());
		const lies = random() < liars;
		const id = `p${this.#born++}`;
		const distance = Math.round(5 + 60 * random() ** 2);
		const links: MeasuredLink[] = [["relay", distance, random() < 0.2]];
		const peer: SimulatedPeer = {
			id,
			view: this.#views[Math.floor(random() * this.#views.length)]!,
			polite: random() < (this.#init.politeShare ?? 0.9),
			memoryBytes,
			member: {
				peer: id,
				announced: this.#now,
				rooms: ["public"],
				majors: [1, 1],
				kind: "page",
				joined: this.#now,
				lends: {
					numericsClass,
					memoryBytes: lies ? memoryBytes * 4 : memoryBytes,
					freeBytes: memoryBytes,
					bytesPerMs: lies ? bytesPerMs * 10 : bytesPerMs,
					models: models.map(({ id }) => id),
					spans: [],
					streams: 0,
					links,
				},
			},
			model: -1,
			held: undefined,
			loading: undefined,
			stored: undefined,
			storing: undefined,
			here: true,
			doubt: undefined,
		};
		this.#peers.set(id, peer);
		this.#counts.joined++;
		this.#at(lifetimeMs, () => {
			this.#leave(peer, peer.polite);
			// The swarm keeps its size: somebody else opens a tab.
			this.#at(0, () => this.#join());
		});
		return peer;
	}

	#join(): void {
		const peer = this.#newPeer(this.#init.lifetimeMs(this.#init.random));
		const { view } = peer;
		const { models } = this.#init;
		const needs = models.map(
			(model, i) => (view.needs[i] ??= modelNeed([...view.members[i]!.values()], model)),
		);
		const model = this.#planned(() => neediestOf(peer.member, models, needs));
		if (!model) return;
		this.#choose(peer, models.indexOf(model));
		// It decides at once, and tells everybody what it is loading.
		this.#decide(view, peer.model, peer);
		this.#announce(peer);
	}

	#choose(peer: SimulatedPeer, model: number): void {
		peer.model = model;
		peer.member = {
			...peer.member,
			lends: { ...peer.member.lends!, models: [this.#init.models[model]!.id] },
		};
	}

	#leave(peer: SimulatedPeer, polite: boolean): void {
		if (!peer.here) return;
		peer.here = false;
		this.#peers.delete(peer.id);
		this.#counts.left++;
		if (peer.loading) peer.loading.timer.run = undefined;
		if (peer.storing) peer.storing.run = undefined;
		this.#unserve(peer);
		const [least, most] = silenceMs;
		const { random } = this.#init;
		const silentMs = random() < killedShare ? killedMs : least + (most - least) * random();
		const missedMs = polite ? 0 : silentMs;
		if (peer.model >= 0) this.#tell(peer.model, peer.id, undefined, missedMs);
	}

	#announce(peer: SimulatedPeer): void {
		const model = this.#init.models[peer.model]!.id;
		const spans: HeldSpan[] = [];
		if (peer.held) spans.push({ model, ...peer.held, ready: true, msPerToken: 0 });
		if (peer.loading) spans.push({ model, ...peer.loading.span, ready: false, msPerToken: 0 });
		const stored = peer.stored ? [{ model, ...peer.stored }] : [];
		peer.member = { ...peer.member, announced: this.#now, lends: { ...peer.member.lends!, spans, stored } };
		if (peer.here) this.#tell(peer.model, peer.id, peer.member, 0);
	}

	/** Lets every view hear of a change in its own time. */
	#tell(model: number, id: string, member: Member | undefined, lateMs: number): void {
		for (const view of this.#views) {
			this.#at(lateMs + view.delayMs * (0.5 + this.#init.random()), () => {
				const known = view.members[model]!.get(id);
				// Gossip may overtake itself; the newest announcement counts.
				if (member && known && known.announced > member.announced) return;
				if (member) view.members[model]!.set(id, member);
				else view.members[model]!.delete(id);
				view.needs[model] = undefined;
				this.#decideSoon(view, model);
			});
		}
	}

	#decideSoon(view: View, model: number, ms = settleMs): void {
		view.deciding[model] ??= this.#at(ms, () => {
			view.deciding[model] = undefined;
			this.#decide(view, model);
		});
	}

	/** What each peer of a view does by what it sees. */
	#decide(view: View, model: number, only?: SimulatedPeer): void {
		const ref = this.#init.models[model]!;
		const known = view.members[model]!;
		const members = only ? [...known.values(), only.member] : [...known.values()];
		const { assignments } = this.#planned(() => deal(members, ref));
		let better: ReadonlyMap<string, Span> | undefined;
		for (const { peer: id, lends } of members) {
			const peer = this.#peers.get(id);
			if (!peer || peer.view !== view || (only && peer !== only)) continue;
			// What it knows of itself is never old.
			if (lends !== peer.member.lends) continue;
			const target = assignments.get(id);
			const current = peer.loading?.span ?? peer.held;
			if (!target) continue;
			if (!sameSpan(target, current)) {
				if (this.#stands(peer, target, peer.held && !peer.loading ? confirmMs : 0)) this.#load(peer, target);
				continue;
			}
			better ??= this.#planned(() => rebalance(members, ref));
			const place = better.get(id);
			if (!place || peer.loading) peer.doubt = undefined;
			else if (this.#stands(peer, place, rebalanceMs)) this.#load(peer, place);
		}
	}

	/** Whether a target has stood for so long; looks again when it may have. */
	#stands(peer: SimulatedPeer, span: Span, ms: number): boolean {
		if (ms === 0) return true;
		if (!sameSpan(span, peer.doubt?.span)) peer.doubt = { span, since: this.#now };
		const wait = peer.doubt!.since + ms - this.#now;
		if (wait <= 0) return true;
		this.#decideSoon(peer.view, peer.model, wait);
		return false;
	}

	#load(peer: SimulatedPeer, span: Span): void {
		peer.doubt = undefined;
		if (peer.loading) peer.loading.timer.run = undefined;
		if (peer.held) {
			this.#counts.moves++;
			this.#counts.layersMoved += span.to - span.from;
		}
		if (peer.storing) peer.storing.run = undefined;
		peer.storing = undefined;
		const { manifest } = this.#init.models[peer.model]!;
		const bytes = modelSizes(manifest).weightBytes(span, numericsClass);
		const { growing = true } = this.#init;
		const parts = growing && !peer.held ? growth(span, this.#holdersSeen(peer), bytes) : [span];
		this.#loadParts(peer, span, parts);
		this.#announce(peer);
	}

	/** For each layer of its model, how many a peer sees serve it. */
	#holdersSeen({ view, model }: SimulatedPeer): number[] {
		const holders = new Array<number>(this.#init.models[model]!.manifest.config.layers).fill(0);
		for (const { lends } of view.members[model]!.values()) {
			for (const { from, to, ready } of lends!.spans)
				for (let layer = from; ready && layer < to; layer++) holders[layer]!++;
		}
		return holders;
	}

	/**
	 * Fetches, opens and serves one part after the other. What is in memory of a part is opened no second time, and is served
	 * meanwhile; what would be whole soon is waited for.
	 */
	#loadParts(peer: SimulatedPeer, span: Span, [part, ...rest]: readonly Range[]): void {
		const sizes = modelSizes(this.#init.models[peer.model]!.manifest);
		const piece = spanOf(part!.from, part!.to, sizes.layers);
		const bytesOf = (range: Span): number => sizes.weightBytes(range, numericsClass);
		const grows = peer.held !== undefined && spanContains(piece, peer.held);
		const bytes = bytesOf(piece) - (grows ? bytesOf(peer.held!) : 0);
		const began = this.#now;
		let missing = 0;
		for (let layer = piece.from; layer < piece.to; layer++) {
			if (!this.#isStored(peer, { from: layer, to: layer + 1 }))
				missing += this.#layerBytes(peer.model, layer);
		}
		this.#counts.bytesFetched += missing;
		const giveUp = (): void => {
			const { held, memoryBytes } = peer;
			if (held && !grows && sizes.servingBytes(held, numericsClass) + bytes > memoryBytes)
				this.#unserve(peer);
		};
		if (!this.#init.diskBytes) giveUp();
		const timer = this.#at(this.#fetchMs(missing), () => {
			this.#keepOnDisk(peer, piece);
			giveUp();
			const opening = this.#at(openMs + bytes / diskBytesPerMs, () => {
				// Who lied about its memory finds out now, and leaves as a lender that failed.
				if (sizes.servingBytes(piece, numericsClass) > peer.memoryBytes) return this.#leave(peer, true);
				this.#unserve(peer);
				this.#serve(peer, piece);
				const isSoon = isSoonWhole({ bytes, ms: this.#now - began }, bytesOf(span) - bytesOf(piece));
				if (rest.length > 0) this.#loadParts(peer, span, rest);
				else peer.loading = undefined;
				if (!peer.loading || !isSoon) this.#announce(peer);
				if (!peer.loading) this.#storeLater(peer);
			});
			peer.loading = { span, timer: opening };
		});
		peer.loading = { span, timer };
	}

	#isStored({ stored }: SimulatedPeer, { from, to }: Range): boolean {
		return stored !== undefined && stored.from <= from && to <= stored.to;
	}

	#layerBytes(model: number, layer: number): number {
		const sizes = modelSizes(this.#init.models[model]!.manifest);
		return sizes.weightBytes(spanOf(layer, layer + 1, sizes.layers), numericsClass);
	}

	/** What was fetched for a span lies on the disk; what lay there and touches it stays. */
	#keepOnDisk(peer: SimulatedPeer, { from, to }: Range): void {
		const { stored } = peer;
		const touches = stored && stored.from <= to && from <= stored.to;
		peer.stored = touches ? { from: Math.min(from, stored.from), to: Math.max(to, stored.to) } : { from, to };
	}

	#storeLater(peer: SimulatedPeer): void {
		peer.storing = this.#at(nextLayersMs, () => {
			peer.storing = undefined;
			this.#storeMore(peer);
		});
	}

	/** Fetches what lies next to what it holds, layer by layer, while there is room on the disk. */
	#storeMore(peer: SimulatedPeer): void {
		const { stored } = peer;
		if (!stored || peer.loading || !this.#init.diskBytes) return;
		let bytes = 0;
		for (let layer = stored.from; layer < stored.to; layer++) bytes += this.#layerBytes(peer.model, layer);
		const { layers } = this.#init.models[peer.model]!.manifest.config;
		const holders = this.#holders[peer.model]!;
		const sides = [stored.from - 1, stored.to].filter((layer) => layer >= 0 && layer < layers);
		const [next] = sides.sort((a, b) => holders[a]! - holders[b]! || b - a);
		if (next === undefined) return;
		const more = this.#layerBytes(peer.model, next);
		if (bytes + more > this.#init.diskBytes) return;
		peer.storing = this.#at(this.#fetchMs(more), () => {
			peer.storing = undefined;
			this.#counts.bytesFetched += more;
			this.#keepOnDisk(peer, { from: next, to: next + 1 });
			this.#announce(peer);
			this.#storeMore(peer);
		});
	}

	#fetchMs(bytes: number): number {
		return (bytes * 8) / ((this.#init.downloadMbits ?? 10) * 1000);
	}

	#serve(peer: SimulatedPeer, span: Span): void {
		peer.held = span;
		this.#count(peer.model, span, 1);
		const model = this.#init.models[peer.model]!.id;
		const spans = [{ model, ...span, ready: true, msPerToken: 0 }];
		const stored = peer.stored ? [{ model, ...peer.stored }] : [];
		peer.member = { ...peer.member, lends: { ...peer.member.lends!, spans, stored } };
	}

	#unserve(peer: SimulatedPeer): void {
		if (peer.held) this.#count(peer.model, peer.held, -1);
		peer.held = undefined;
	}

	#count(model: number, { from, to }: Span, by: 1 | -1): void {
		this.#account(this.#now);
		const holders = this.#holders[model]!;
		const lacking = this.#lacking[model]!;
		const before = { ...lacking };
		for (let layer = from; layer < to; layer++) {
			const was = holders[layer]!;
			const is = was + by;
			holders[layer] = is;
			lacking.none += Number(is < 1) - Number(was < 1);
			lacking.two += Number(is < 2) - Number(was < 2);
		}
		this.#holding += by * (to - from);
		this.#layersNone += lacking.none - before.none;
		this.#layersTwo += lacking.two - before.two;
		this.#modelsNone += Number(lacking.none > 0) - Number(before.none > 0);
		this.#modelsTwo += Number(lacking.two > 0) - Number(before.two > 0);
	}

	#account(now: number): void {
		const ms = now - this.#lastAccount;
		this.#lastAccount = now;
		this.#time.none += ms * this.#layersNone;
		this.#time.two += ms * this.#layersTwo;
		this.#time.modelsNone += ms * this.#modelsNone;
		this.#time.modelsTwo += ms * this.#modelsTwo;
		this.#time.all += ms * Number(this.#layersTwo > 0);
		this.#time.holding += ms * this.#holding;
	}

	#at(ms: number, run: () => void): Timer {
		const timer: Timer = { at: this.#now + ms, order: this.#order++, run };
		const timers = this.#timers;
		let i = timers.push(timer) - 1;
		while (i > 0) {
			const parent = (i - 1) >> 1;
			if (!isBefore(timer, timers[parent]!)) break;
			timers[i] = timers[parent]!;
			i = parent;
		}
		timers[i] = timer;
		return timer;
	}

	#popTimer(): void {
		const timers = this.#timers;
		const last = timers.pop()!;
		if (timers.length === 0) return;
		let i = 0;
		for (;;) {
			let child = 2 * i + 1;
			if (child >= timers.length) break;
			if (child + 1 < timers.length && isBefore(timers[child + 1]!, timers[child]!)) child++;
			if (!isBefore(timers[child]!, last)) break;
			timers[i] = timers[child]!;
			i = child;
		}
		timers[i] = last;
	}
}

function isBefore(a: Timer, b: Timer): boolean {
	return a.at < b.at || (a.at === b.at && a.order < b.order);
}

function sameSpan(a: Span, b: Span | undefined): boolean {
	return b !== undefined && a.from === b.from && a.to === b.to;
}
