import type { LenderView, ModelView, StageView } from "@tabmesh/client";
import type { Member } from "@tabmesh/directory";
import {
	EngineUnavailableError,
	PeerUnreachableError,
	StageLostError,
	StorageQuotaError,
} from "@tabmesh/wire";
import type { Script, Step } from "./scripted.ts";

/** One picture of the gallery: which element, on which network, and what a person did to get there. */
export interface GalleryState {
	readonly element: "tabmesh-lend" | "tabmesh-chat";
	readonly script: Script;
	/** `hang` and `fail` never give a network. @default "open" */
	readonly connect?: "open" | "hang" | "fail";
	/** Prompts typed and sent one after the other, or true for a pressed Join. */
	readonly act?: true | readonly string[];
	/** Presses the button with this text last. */
	readonly press?: string;
}

const peers = ["3fKx9Qm3xT", "Zr8Lw2Vb7a", "N5tYc4Hd1k", "uP6Gj9Es2w"].map(
	(tail) => `12D3KooWQ2xTtW6zsSxzKDPGAYRfkkGx4jzDqUrJM5${tail}`,
);

function model(coverage: Partial<ModelView["coverage"]>, rest: Partial<ModelView> = {}): ModelView {
	const layers = rest.layers ?? 6;
	return {
		id: "bafyreistories15m",
		name: "stories15m",
		license: "MIT",
		layers,
		contextLength: 256,
		sourceBytes: 60_816_028,
		loadedBytes: 60_816_028,
		chats: false,
		coverage: { holders: Array(layers).fill(0), complete: false, missingBytes: 0, loading: 0, ...coverage },
		...rest,
	};
}

function lenders(count: number): Member[] {
	return peers.slice(0, count).map((peer) => ({
		peer,
		announced: 0,
		rooms: ["public"],
		majors: [1, 1],
		kind: "page",
		joined: 0,
		lends: {
			numericsClass: "ort1.30/wasm/x64/f32/f32",
			memoryBytes: 1e9,
			freeBytes: 9e8,
			bytesPerMs: 1e7,
			models: ["bafyreistories15m", "bafyreitinyllama"],
			spans: [],
			streams: 0,
		},
	}));
}

const full = model({ holders: [1, 1, 1, 1, 1, 1], complete: true });
const spare = model({ holders: [2, 2, 1, 1, 1, 1], complete: true });
const tinyLlama = model(
	{ holders: Array(22).fill(1).fill(2, 8, 15), complete: true },
	{
		id: "bafyreitinyllama",
		name: "TinyLlama-1.1B-Chat",
		layers: 22,
		chats: true,
		contextLength: 2048,
		sourceBytes: 322_591_712,
		loadedBytes: 4.4e9,
	},
);
const open: Script = { models: [full], members: lenders(3) };

function stage(
	index: number,
	from: number,
	to: number,
	of: number,
	rest: Partial<StageView> = {},
): StageView {
	return {
		peer: peers[index]!,
		span: { from, to, embed: from === 0, head: to === of },
		msPerToken: [1.1, 0.9, 2.3, 1.4][index]!,
		state: "ready",
		progress: 1,
		...rest,
	};
}
const three = [stage(0, 0, 2, 6), stage(1, 2, 4, 6), stage(2, 4, 6, 6)];
const fourOfTwentyTwo = [
	stage(0, 0, 8, 22, { msPerToken: 18.4 }),
	stage(1, 8, 15, 22, { msPerToken: 31.2 }),
	stage(2, 15, 17, 22, { msPerToken: 124 }),
	stage(3, 17, 22, 22, { msPerToken: 16.9 }),
];

const words = (text: string): Step[] => [...text.matchAll(/\s*\S+/g)].map(([piece]) => ({ text: piece }));
const fox =
	" She was curious and wanted to know what was behind it. She pushed the door with her nose, and it opened. Inside she saw a small room with a warm fire and a table full of berries.\n\n“Hello,” said a tiny mouse. “I have waited for a friend all day.” The fox sat down by the fire, and they shared the berries until the stars came out.";
const prompt = "Once upon a time, a little fox found a door in a tree.";
const tides =
	"Imagine the Moon holding a very long, invisible rope that is tied to the sea. As the Earth turns, the rope pulls the water up a little on one side, and the beach fills. When our side turns away, the water slides back.\n\nThat happens about twice a day, so there is always another tide coming.";

const serving: Partial<LenderView> = {
	phase: "serving",
	span: { from: 0, to: 2, embed: true, head: false },
	backend: "wasm",
	usedBytes: 41e6,
	streams: 2,
	tokensServed: 18_432,
	msPerToken: 1.3,
	since: Date.now() - 47 * 60_000,
};
const lend = (lender: Partial<LenderView>, script: Script = open): GalleryState => ({
	element: "tabmesh-lend",
	script: { ...script, lender },
	act: true,
});
const chat = (
	answer: readonly Step[],
	script: Script = open,
	prompts: readonly string[] = [prompt],
): GalleryState => ({
	element: "tabmesh-chat",
	script: { ...script, answer },
	act: prompts,
});

const noEngine = new EngineUnavailableError("This browser can run neither WebGPU nor WebAssembly.", {
	metaMessages: [
		"Use a current Chrome, Edge, Firefox or Safari.",
		"Check that an extension does not block WebAssembly.",
	],
});
export const unreachable = new PeerUnreachableError("The relay behind this page does not answer.", {
	metaMessages: ["Check your connection.", "Wait a moment: the relay may be starting again."],
});
const noRoom = new StorageQuotaError("This device has no room left to keep the layers for next time.", {
	metaMessages: [
		"Serving goes on; at the next visit they are fetched again.",
		"Free some storage to avoid that.",
	],
});
const lost = new StageLostError("The peer that held layers 3–4 left in the middle of the answer.", {
	metaMessages: ["Ask again: the others are still here."],
});

/** Every state that a person can meet, by name. */
export const states: Record<string, GalleryState> = {
	"lend-before": { element: "tabmesh-lend", script: open },
	"lend-connecting": { element: "tabmesh-lend", script: open, connect: "hang", act: true },
	"lend-unreachable": { element: "tabmesh-lend", script: open, connect: "fail", act: true },
	"lend-joining": lend({ phase: "joining" }),
	"lend-waiting": lend(
		{ phase: "waiting" },
		{ models: [model({ holders: [1, 1, 0, 0, 0, 0], missingBytes: 209_400_000 })], members: lenders(2) },
	),
	"lend-waiting-spare": lend({ phase: "waiting" }),
	"lend-fetching": lend({
		phase: "loading",
		loading: { phase: "fetch", loadedBytes: 13.2e6, totalBytes: 24.6e6 },
	}),
	"lend-compiling": lend({
		phase: "loading",
		loading: { phase: "compile", loadedBytes: 12e6, totalBytes: 24.6e6 },
	}),
	"lend-serving": lend(serving, { models: [spare], members: lenders(3) }),
	"lend-serving-large": lend(
		{
			...serving,
			span: { from: 8, to: 15, embed: false, head: false },
			usedBytes: 1.23e9,
			memoryBytes: 2e9,
			msPerToken: 31.2,
			backend: "webgpu",
		},
		{ models: [tinyLlama], members: lenders(4) },
	),
	"lend-notice": lend(serving, { ...open, notice: noRoom }),
	"lend-leave-warning": { ...lend(serving), press: "Leave" },
	"lend-paused": lend({ ...serving, phase: "paused", streams: 1 }),
	"lend-left": { ...lend({ ...serving, streams: 0 }), press: "Leave" },
	"lend-failed": lend({ phase: "failed", error: noEngine }),
	"chat-connecting": { element: "tabmesh-chat", script: open, connect: "hang" },
	"chat-unreachable": { element: "tabmesh-chat", script: open, connect: "fail" },
	"chat-no-model": { element: "tabmesh-chat", script: { models: [], members: [] } },
	"chat-no-peers": {
		element: "tabmesh-chat",
		script: { models: [model({ missingBytes: 60_816_028 })], members: [] },
	},
	"chat-missing": {
		element: "tabmesh-chat",
		script: {
			models: [model({ holders: [1, 1, 0, 0, 0, 0], missingBytes: 209_400_000 })],
			members: lenders(2),
		},
	},
	"chat-loading": {
		element: "tabmesh-chat",
		script: { models: [model({ holders: [1, 1, 0, 0, 0, 0], loading: 2 })], members: lenders(3) },
	},
	"chat-empty": { element: "tabmesh-chat", script: open },
	"chat-stages-compiling": chat([
		{
			stages: [
				three[0]!,
				stage(1, 2, 4, 6, { state: "preparing", progress: 0.62 }),
				stage(2, 4, 6, 6, { state: "preparing", progress: 0.2 }),
			],
		},
	]),
	"chat-stages-opening": chat([
		{ stages: three.map((view) => ({ ...view, state: "opening", msPerToken: 0, progress: 0 })) },
	]),
	"chat-streaming": chat([{ stages: three }, ...words(fox.slice(0, 210))]),
	"chat-answered": chat([{ stages: three }, ...words(fox), { end: "stop" }]),
	"chat-stopped": { ...chat([{ stages: three }, ...words(fox.slice(0, 140))]), press: "Stop" },
	"chat-peer-lost": chat([
		{ stages: three },
		...words(fox.slice(0, 160)),
		{ stages: three.map((view, index) => (index === 1 ? { ...view, state: "lost" } : view)) },
		{ fail: lost },
	]),
	"chat-conversation": chat(
		[{ stages: fourOfTwentyTwo }, ...words(tides), { end: "length" }],
		{ models: [tinyLlama, full], members: lenders(4) },
		["Explain tides to a child.", "And why are there two of them each day?"],
	),
	"chat-hostile": chat([
		{ stages: three },
		{ text: ' <img src=x onerror="window.pwned=1"><script>window.pwned=2</script>' },
		{
			text: "<a href='javascript:window.pwned=3'>click</a> [x](javascript:window.pwned=4) &lt;b&gt;\u202Eright to left ",
		},
		{ text: "W".repeat(400) },
		{ end: "stop" },
	]),
};
