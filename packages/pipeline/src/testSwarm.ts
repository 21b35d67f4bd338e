// A relay, lenders and an asker, all real, in one process; for this room's tests, not part of its face.
import { createEnvelopeSigner, createIdentity, type EnvelopeSigner } from "@tabmesh/dauth";
import type { Member } from "@tabmesh/directory";
import { createEngine } from "@tabmesh/inference";
import {
	type Engine,
	type ForwardResult,
	type ModelRef,
	publishModel,
	type ShardSource,
	sourceOfModel,
} from "@tabmesh/model";
import { openSeededModel, type SeededModelOptions } from "@tabmesh/model/testing";
import { createPeer, type Peer } from "@tabmesh/transport";
import { createRelayPeer } from "@tabmesh/transport/relay";
import { decodeFrame, encodeFrame, type RingFrame, type Sampling, type Span } from "@tabmesh/wire";
import type { GenerateInit } from "./ask/generate.ts";
import { FixtureDirectory, fixtureMember } from "./fixtures.ts";
import { spanOf } from "./plan/modelSizes.ts";
import { ringProtocol, stageFeatures } from "./protocols.ts";
import { greedy, sample } from "./sampling/sampling.ts";
import type { Drafter } from "./speculation/drafter.ts";
import { type StageServer, type StageServerInit, serveStages } from "./stage/stageServer.ts";

export interface TestModel {
	readonly model: ModelRef;
	readonly source: ShardSource;
}

/** A seeded model, published and readable. */
export async function testModel(options: SeededModelOptions = {}): Promise<TestModel> {
	const source = await openSeededModel(options);
	const { id, manifest } = await publishModel(source);
	return { model: { id, manifest }, source: sourceOfModel(source) };
}

export interface TestPeer {
	readonly peer: Peer;
	readonly signer: EnvelopeSigner;
}

export interface TestLender extends TestPeer {
	readonly engine: Engine;
	readonly server: StageServer;
	/** What it announces. */
	member: Member;
}

/** What one process would write: the whole model in one engine, no network, no stop token. */
export async function oneProcess(
	{ model, source }: TestModel,
	prompt: readonly number[],
	maxTokens: number,
	sampling: Sampling = greedy,
): Promise<number[]> {
	const engine = await createEngine({ memoryBytes: 1e9 });
	const { layers } = model.manifest.config;
	const handle = await engine.load({ model, span: spanOf(0, layers, layers) }, source);
	await engine.reserve(handle, "one", prompt.length + maxTokens);
	const tokens: number[] = [];
	let input = Int32Array.from(prompt);
	let position = 0;
	while (tokens.length < maxTokens) {
		const [result] = await engine.forward(handle, [{ stream: "one", position, input }], { logits: "last" });
		position += input.length;
		const token = sample(result!.logits!, sampling, position, {
			history: [...prompt, ...tokens],
			written: tokens,
		});
		tokens.push(token);
		input = Int32Array.of(token);
	}
	await engine.close();
	return tokens;
}

/** Starts and stops real peers behind one relay. */
export class TestSwarm {
	readonly model: TestModel;
	readonly lenders: TestLender[] = [];
	readonly #relay: Awaited<ReturnType<typeof createRelayPeer>>;
	readonly #peers: Peer[] = [];

	private constructor(model: TestModel, relay: Awaited<ReturnType<typeof createRelayPeer>>) {
		this.model = model;
		this.#relay = relay;
	}

	static async start(model: TestModel): Promise<TestSwarm> {
		return new TestSwarm(
			model,
			await createRelayPeer({ identity: await createIdentity(), agent: "relay/1" }),
		);
	}

	async peer(features: readonly string[] = stageFeatures): Promise<TestPeer> {
		const identity = await createIdentity();
		const peer = await createPeer({ identity, relays: this.#relay.addresses, agent: "test/1", features });
		this.#peers.push(peer);
		return { peer, signer: createEnvelopeSigner(identity) };
	}

	/** A lender that holds layers `[from, to)`. */
	async lender(
		from: number,
		to: number,
		options: {
			memoryBytes?: number;
			ringHoldMs?: number;
			leaseMs?: number;
			keepMs?: number;
			onReceipt?: StageServerInit["onReceipt"];
			countersignMs?: number;
			/** What stands between the stage and its key. */
			signing?: (signer: EnvelopeSigner) => EnvelopeSigner;
			drafter?: () => Drafter;
			/** What it says that it understands. @default all */
			features?: readonly string[];
			/** How much longer its frames take to the next stage. */
			distanceMs?: number;
			/** What it sends to the next stage in place of each frame. */
			tampering?: (frame: RingFrame) => readonly RingFrame[];
			/** Told of everything that it sends on streams which it opened. */
			overheard?: Hear;
			/** What stands between the stage and its engine. */
			around?: (engine: Engine) => Engine;
		} = {},
	): Promise<TestLender> {
		const { model, source } = this.model;
		const { peer, signer } = await this.peer(options.features);
		const engine = await createEngine({ memoryBytes: options.memoryBytes ?? 1e9 });
		const honest = options.overheard ? overheard(peer, options.overheard) : peer;
		const heard = options.tampering ? tampering(honest, options.tampering) : honest;
		const server = serveStages({
			peer: options.distanceMs ? distant(heard, options.distanceMs) : heard,
			signer: options.signing?.(signer) ?? signer,
			...(options.onReceipt ? { onReceipt: options.onReceipt } : {}),
			...(options.countersignMs === undefined ? {} : { countersignMs: options.countersignMs }),
			engine: options.around?.(engine) ?? engine,
			source,
			room: "public",
			models: (id) => (id === model.id ? model : undefined),
			...(options.ringHoldMs === undefined ? {} : { ringHoldMs: options.ringHoldMs }),
			...(options.leaseMs === undefined ? {} : { leaseMs: options.leaseMs }),
			...(options.keepMs === undefined ? {} : { keepMs: options.keepMs }),
			...(options.drafter === undefined ? {} : { drafter: options.drafter }),
		});
		const span: Span = spanOf(from, to, model.manifest.config.layers);
		await server.spans.hold(model, span);
		const member = this.memberOf(peer.id, span);
		const lender = { peer, signer, engine, server, member };
		this.lenders.push(lender);
		return lender;
	}

	memberOf(peer: string, span: Span): Member {
		const member = fixtureMember({ peer, held: span });
		const { id } = this.model.model;
		const spans = member.lends!.spans.map((held) => ({ ...held, model: id }));
		return { ...member, lends: { ...member.lends!, models: [id], spans } };
	}

	/** What `asker` needs to generate with the lenders that are there. */
	ask(asker: TestPeer, promptTokens: readonly number[], more: Partial<GenerateInit> = {}): GenerateInit {
		return {
			...asker,
			directory: new FixtureDirectory(this.lenders.map(({ member }) => member)),
			room: "public",
			model: this.model.model,
			promptTokens,
			stopTokens: [],
			...more,
		};
	}

	async stop(): Promise<void> {
		for (const { server, engine } of this.lenders) {
			await server.close();
			await engine.close();
		}
		await Promise.all(this.#peers.map((peer) => peer.stop()));
		await this.#relay.stop();
	}
}

/** Waits until `condition` holds. */
export async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
	while (!(await condition())) await new Promise((resolve) => setTimeout(resolve, 5));
}

/** Reproducible moments in [0, 1): mulberry32 by Tommy Ettinger. */
export function random(seed: number): () => number {
	let state = seed;
	return () => {
		state = (state + 0x6d2b79f5) | 0;
		let t = Math.imul(state ^ (state >>> 15), 1 | state);
		t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
		return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
	};
}

/** The same object, with `name` in another way. */
export function instead<T extends object, K extends keyof T>(object: T, name: K, other: T[K]): T {
	return new Proxy(object, {
		get(target, asked) {
			if (asked === name) return other;
			const value = Reflect.get(target, asked, target);
			return typeof value === "function" ? value.bind(target) : value;
		},
	});
}

/** An engine whose results `change` passes on, changed, late or never. */
export function around(
	engine: Engine,
	change: (results: ForwardResult[]) => Promise<ForwardResult[]>,
): Engine {
	return instead(engine, "forward", (...call) => engine.forward(...call).then(change));
}

type Hear = (to: string, protocol: string, message: Uint8Array) => void;

/** A peer of whom `hear` is told everything that it sends on streams which it opened. */
export function overheard(peer: Peer, hear: Hear): Peer {
	return instead(peer, "open", async (to, protocol, options) => {
		const stream = await peer.open(to, protocol, options);
		return instead(stream, "send", (message, sending) => {
			for (const part of [message].flat()) hear(to, protocol.id, part.slice());
			return stream.send(message, sending);
		});
	});
}

/** A peer that sends other frames to the next stage than its stage has made. */
function tampering(peer: Peer, change: (frame: RingFrame) => readonly RingFrame[]): Peer {
	return instead(peer, "open", async (to, protocol, options) => {
		const stream = await peer.open(to, protocol, options);
		if (protocol !== ringProtocol) return stream;
		let opened = false;
		return instead(stream, "send", async (message, sending) => {
			const bytes = message as Uint8Array<ArrayBuffer>;
			const isFrame = opened && bytes.byteLength > 0;
			opened = true;
			const messages = isFrame ? change(decodeFrame(bytes)).map(encodeFrame) : [bytes];
			for (const each of messages) await stream.send(each, sending);
		});
	});
}

/** A peer that is further away from the others: its frames on the ring take so much longer. */
function distant(peer: Peer, ms: number): Peer {
	return instead(peer, "open", async (to, protocol, options) => {
		const stream = await peer.open(to, protocol, options);
		if (protocol !== ringProtocol) return stream;
		return instead(stream, "send", async (message) => {
			setTimeout(() => stream.send(message).catch(() => {}), ms);
		});
	});
}
