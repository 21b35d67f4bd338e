import type { ModelView } from "@tabmesh/client";
import type { Member } from "@tabmesh/directory";

/** As large as is wanted, the same every time. */
export interface SyntheticSwarmOptions {
	readonly peers: number;
	readonly models: number;
	/** Of a model's layers, how many one peer holds. @default about a quarter */
	readonly share?: number;
	/** Another swarm for another seed. @default 1 */
	readonly seed?: number;
}

const alphabet = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
const kinds: [name: string, layers: number, bytes: number][] = [
	["TinyLlama-1.1B-Chat", 22, 1.1e9],
	["stories15m", 6, 6.1e7],
	["Qwen2.5-7B-Instruct", 28, 7.6e9],
	["Llama-3.1-8B-Instruct", 32, 8.5e9],
	["Qwen2.5-14B-Instruct", 48, 1.5e10],
	["Llama-3.3-70B-Instruct", 80, 7.5e10],
];

/** Mulberry32: https://gist.github.com/tommyettinger/46a874533244883189143505d203312c */
function generator(seed: number): () => number {
	let state = seed;
	return () => {
		state = (state + 0x6d2b79f5) | 0;
		let t = Math.imul(state ^ (state >>> 15), 1 | state);
		t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
		return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
	};
}

/** What the members of a room may publish: spans side by side and over each other, some still loading, some busy. */
export function syntheticSwarm({ peers, models: count, share = 0.25, seed = 1 }: SyntheticSwarmOptions): {
	models: ModelView[];
	members: Member[];
} {
	const random = generator(seed);
	const pick = (most: number): number => Math.floor(random() * most);
	const relay = "12D3KooWQ2xTtW6zsSxzKDPGAYRfkkGx4jzDqUrJM53fKx9Relay";
	const sketches = Array.from({ length: count }, (_, i) => {
		const [name, layers, bytes] = kinds[i % kinds.length]!;
		return { id: `bafyreimodel${i}`, name: i < kinds.length ? name : `${name}-${i}`, layers, bytes };
	});
	/** Where the next span of each model begins, so that most of it is held. */
	const next = sketches.map(() => 0);
	const holders = sketches.map(({ layers }) => new Array<number>(layers).fill(0));
	const loading = sketches.map(() => 0);
	const members = Array.from({ length: peers }, (_, i): Member => {
		const tail = Array.from({ length: 10 }, () => alphabet[pick(alphabet.length)]).join("");
		const which = i < 8 * count ? i % count : Math.min(pick(count), pick(count));
		const { id, layers, bytes } = sketches[which]!;
		const length = Math.min(layers, Math.max(1, Math.round(layers * share * (0.6 + random() * 0.9))));
		const from = next[which]! + length > layers && random() < 0.8 ? layers - length : next[which]! % layers;
		const to = Math.min(layers, from + length);
		next[which] = to >= layers ? 0 : to;
		const ready = i < 4 || random() > 0.06;
		if (ready) for (let layer = from; layer < to; layer++) holders[which]![layer]!++;
		else loading[which]!++;
		const streams = ready && random() < 0.35 ? 1 + pick(random() < 0.2 ? 16 : 4) : 0;
		const held = (bytes * (to - from)) / layers;
		const memoryBytes = Math.ceil((held * (1.2 + random())) / 2.5e8) * 2.5e8;
		const bytesPerMs = 4e6 + random() * 5e7;
		const rtt = 5 * (1 + pick(random() < 0.3 ? 36 : 9));
		return {
			peer: `12D3KooWQ2xTtW6zsSxzKDPGAYRfkkGx4jzDqUrJM5${tail}`,
			announced: 0,
			rooms: ["public"],
			majors: [1, 1],
			kind: random() < 0.75 ? "page" : "node",
			joined: Date.now() - pick(9 * 3_600_000),
			lends: {
				numericsClass: random() < 0.6 ? "ort1.30/webgpu/apple/q8/f16" : "ort1.30/wasm/x64/i8/f32",
				memoryBytes,
				freeBytes: Math.max(0, memoryBytes - held),
				bytesPerMs,
				models: sketches.map((model) => model.id),
				spans: [
					{
						model: id,
						from,
						to,
						embed: from === 0,
						head: to === layers,
						ready,
						msPerToken: ready ? held / bytesPerMs : 0,
					},
				],
				stored: [{ model: id, from, to }],
				streams,
				links: [[relay, rtt, random() < 0.08]],
			},
		};
	}).sort((a, b) => (a.peer < b.peer ? -1 : 1));
	const models = sketches.map(({ id, name, layers, bytes }, i): ModelView => {
		const missing = holders[i]!.filter((count) => count === 0).length;
		return {
			id,
			name,
			license: "Apache-2.0",
			layers,
			contextLength: 4096,
			sourceBytes: bytes,
			loadedBytes: bytes,
			chats: true,
			coverage: {
				holders: holders[i]!,
				complete: missing === 0,
				missingBytes: (bytes * missing) / layers,
				loading: loading[i]!,
			},
		};
	});
	return { models, members };
}
