import type {
	HistoryView,
	KeptThing,
	LenderView,
	LendingDay,
	ModelView,
	ServedRoute,
	StageView,
	StorageView,
	WalletView,
} from "@tabmesh/client";
import type { Member } from "@tabmesh/directory";
import type { RelayReading } from "@tabmesh/elements/console";
import {
	EngineUnavailableError,
	OutOfMemoryBudgetError,
	PeerUnreachableError,
	RecoveryPhraseError,
	StageLostError,
	StorageInUseError,
	StorageQuotaError,
	WalletRejectedError,
	WrongPassphraseError,
} from "@tabmesh/wire";
import type { KeptTurn } from "../src/conversations/conversationStore.ts";
import { type Script, type Step, walletAddress } from "./scripted.ts";
import { syntheticSwarm } from "./syntheticSwarm.ts";

/** One picture of the gallery: which element, on which network, and what a person did to get there. */
export interface GalleryState {
	readonly element:
		| "tabmesh-lend"
		| "tabmesh-chat"
		| "tabmesh-storage"
		| "tabmesh-wallet"
		| "tabmesh-console";
	readonly script: Script;
	/** What the relay of a console answers. @default it never answers */
	readonly relay?: RelayReading | Error;
	/** What the browser lacks. */
	readonly lacks?: readonly (
		| "isSecureContext"
		| "RTCPeerConnection"
		| "WebAssembly"
		| "Worker"
		| "indexedDB"
	)[];
	/** The peer that a console looks at: its place among the members. */
	readonly chosen?: number;
	/** `hang` and `fail` never give a network. @default "open" */
	readonly connect?: "open" | "hang" | "fail";
	/** The turns that this device keeps, or why it keeps none; without it the page keeps no conversations. */
	readonly keeps?: readonly KeptTurn[] | Error | "on the device";
	/** Id of the conversation in the page's address. */
	readonly shows?: string;
	/** Presses the button with this text before all. */
	readonly first?: string;
	/** Prompts typed and sent one after the other, or true for a pressed Join. */
	readonly act?: true | readonly string[];
	/** The conversation that the page was reloaded in. */
	readonly left?: string;
	/** Presses the buttons with these texts last, one after the other. */
	readonly press?: string | readonly string[];
	/** Fields that are filled in after that, by name; then the form is sent. */
	readonly fill?: Readonly<Record<string, string>>;
}

/** As scripted networks call themselves. */
const thisTab = "12D3KooWQ2xTtW6zsSxzKDPGAYRfkkGx4jzDqUrJM5vXhVuaThis";
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

/** This tab and `others` of stories15m, each with two of its layers. */
function holders(others: number): Member[] {
	const [first] = lenders(1);
	return [thisTab, ...peers.slice(0, others)].map((peer, i) => {
		const from = (2 * i) % 6;
		const span = {
			model: "bafyreistories15m",
			from,
			to: from + 2,
			embed: from === 0,
			head: from === 4,
			ready: i < 4,
			msPerToken: 1.3,
		};
		return { ...first!, peer, lends: { ...first!.lends!, spans: [span] } };
	});
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

const works: RelayReading = {
	host: "relay.example.org",
	peer: `${peers[0]!.slice(0, -5)}Relay`,
	status: "ok",
	answeredMs: 12,
	figures: {
		sockets: 61,
		reservations: 43,
		refusedSockets: 2,
		messages: 18_204,
		refusedMessages: 0,
		memoryBytes: 148_000_000,
		started: Date.now() - 26 * 3_600_000,
		lagMs: 21,
	},
};
const watch = (script: Script): GalleryState => ({ element: "tabmesh-console", script });
/** All that an answer's markdown may hold. */
const guide = `Here is how tides compare, **from the strongest** to the *weakest*.

## What pulls

1. The Moon, because it is near.
2. The Sun:
   - large, but far away
   - together with the Moon at ~~half~~ full moon: \`spring tide\`
3. Everything else, hardly.

> The sea does not rise. The Earth turns beneath it.
> Two bulges, two tides.

### In numbers

| Place | Range | Highest |
|:------|------:|:-------:|
| Bay of Fundy | 11.7 m | 16.3 m |
| Bristol Channel | 9.6 m | 14.5 m |
| Mediterranean, most places | 0.3 m | 0.6 m |

\`\`\`python
def height(hours, amplitude=1.9, period=12.42):
    """Metres above the mean, for one tide alone, as if no coast, no wind and no Sun disturbed it."""
    return amplitude * cos(2 * pi * hours / period)
\`\`\`

More at [the tide tables](https://tides.example.org/tables?from=today), or https://en.example.org/wiki/Tide; not [here](javascript:alert(1)).

![A map of tides](https://maps.example.org/tides.png)

---

First line of a verse,
second line of it.`;
const rightToLeft = `# المد والجزر

يشد القمر الماء نحوه، فيرتفع البحر مرتين كل يوم.

- القمر قريب
- الشمس بعيدة، \`spring tide\`

The same in English stands from left to right.

> اقتباس قصير

גאות ושפל הם שינויים בגובה פני הים.`;
const asksTinyLlama: Script = { models: [tinyLlama, full], members: lenders(4) };

const keptTurn = (conversation: string, days: number, prompt: string, text: string): KeptTurn => ({
	id: `${conversation}-1`,
	conversation,
	parent: undefined,
	createdAt: Date.now() - days * 86_400_000 - 600_000,
	status: "done",
	model: "TinyLlama-1.1B-Chat",
	chats: true,
	private: false,
	prompt,
	text,
	tokens: 56,
	stages: fourOfTwentyTwo,
});
const kept = [
	keptTurn("tides", 0, "Explain tides to a child.", tides),
	keptTurn("maps", 1, "What should I read about the history of maps?", "Begin with an atlas."),
	keptTurn("arabic", 3, "ما هو المد والجزر؟", rightToLeft),
	keptTurn("long", 40, "W".repeat(120), "…"),
];
const noRoomToKeep = new StorageQuotaError("This device has no room left to keep this conversation.", {
	metaMessages: ["It stays here until this tab is closed.", "Delete older conversations, or free storage."],
});

const serving: Partial<LenderView> = {
	phase: "serving",
	span: { from: 0, to: 2, embed: true, head: false },
	backend: "wasm",
	bitsPerWeight: 32,
	usedBytes: 41e6,
	streams: 2,
	tokensServed: 18_432,
	msPerToken: 1.3,
	since: Date.now() - 47 * 60_000,
};
/** An answer whose second of three stages is this tab. */
const route: ServedRoute = {
	stream: "5f",
	model: "bafyreistories15m",
	hops: [
		{ peer: thisTab, span: { from: 0, to: 2, embed: true, head: false } },
		{ peer: peers[0]!, span: { from: 2, to: 4, embed: false, head: false } },
		{ peer: peers[1]!, span: { from: 4, to: 6, embed: false, head: true } },
	],
	place: 0,
	positions: 143,
};
/** A month of lending, in the evenings and more at weekends, without chance and without a clock. */
const lentDays: LendingDay[] = Array.from({ length: 24 }, (_, i) => {
	const time = new Date();
	time.setDate(time.getDate() - (23 - i));
	const two = (value: number) => String(value).padStart(2, "0");
	const evening = [0, 35, 60, 60, 48, 22][i % 6]!;
	const hours = Array.from({ length: 24 }, (_, hour) =>
		hour >= 18 && hour < 23 ? evening : i % 7 > 4 && hour > 8 && hour < 18 ? 60 : 0,
	);
	const minutes = hours.reduce((sum, each) => sum + each, 0);
	return {
		day: `${time.getFullYear()}-${two(time.getMonth() + 1)}-${two(time.getDate())}`,
		tokens: Math.round(minutes * (31 + 17 * Math.sin(i))),
		hours,
		minutes,
	};
});
const lent: HistoryView = {
	days: lentDays,
	today: { ...lentDays.at(-1)!, tokens: 18_432 },
	lastHour: 47,
	ever: { tokens: 1_203_441, minutes: 9_812, since: "2026-08-03" },
};
const lively: Script = {
	models: [spare],
	members: holders(4),
	history: lent,
	connections: 4,
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
/** A page that was reloaded in the middle of an answer. */
const left = (answer: readonly Step[]): GalleryState => ({
	element: "tabmesh-chat",
	script: { ...open, answer },
	left: JSON.stringify({
		turns: [{ prompt, chats: false, text: fox.slice(0, 160), tokens: words(fox.slice(0, 160)).length }],
		answer: "what was left",
	}),
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

const web = "https://mesh.example.org/models/bafyreistories15m/";
const minutes = (count: number) => Date.now() - count * 60_000;
const stories: KeptThing = {
	id: "bafyreistories15m",
	kind: "model",
	name: "stories15m",
	bytes: 41_284_608,
	wholeBytes: 60_816_028,
	blocks: 40,
	pinned: false,
	inUse: false,
	usedAt: minutes(12),
	from: [
		{ kind: "peer", name: peers[0]!, bytes: 23_068_672 },
		{ kind: "peer", name: peers[2]!, bytes: 10_485_760 },
		{ kind: "web", name: web, bytes: 7_730_176 },
	],
};
const llama: KeptThing = {
	...stories,
	id: "bafyreitinyllama",
	name: "TinyLlama-1.1B-Chat",
	bytes: 322_591_712,
	wholeBytes: 322_591_712,
	blocks: 319,
	inUse: true,
	usedAt: minutes(0),
	from: [
		{ kind: "peer", name: peers[1]!, bytes: 118_489_088 },
		{ kind: "web", name: web, bytes: 84_934_656 },
		...peers.slice(2).map((name, i) => ({ kind: "peer" as const, name, bytes: 50_331_648 - i * 9e6 })),
		{ kind: "unknown", name: "", bytes: 27_504_672 },
	],
};
const report: KeptThing = {
	...stories,
	id: "bafybeigmix7t42i6jacydtquhet7srwvgpizfg7gjbq7627d35mjomtu64",
	kind: "file",
	name: "Field notes.pdf",
	bytes: 4_194_304,
	wholeBytes: 4_194_304,
	blocks: 5,
	pinned: true,
	usedAt: minutes(60 * 26),
	from: [{ kind: "device", name: "", bytes: 4_194_304 }],
};
const room: Omit<StorageView, "kept"> = {
	looseBytes: 0,
	usedBytes: 368_070_624,
	pinnedBytes: 4_194_304,
	budgetBytes: 2_147_483_648,
	quotaBytes: 9.8e9,
	originBytes: 371_200_000,
	persisted: false,
	memoryBytes: 0,
	degraded: undefined,
};
const keeps = (storage: Script["storage"], rest: Partial<Script> = {}): GalleryState => ({
	element: "tabmesh-storage",
	script: { ...open, ...(storage ? { storage } : {}), ...rest },
});
const several: StorageView = { ...room, kept: [llama, stories, report] };
const nothing: StorageView = { ...room, kept: [], usedBytes: 0, pinnedBytes: 0, originBytes: 2.1e6 };

const acts: Partial<WalletView> = {
	kind: "embedded",
	address: walletAddress,
	delegation: {
		wallet: walletAddress,
		scopes: ["ask", "lend"],
		expires: Date.UTC(2026, 11, 21),
		published: true,
	},
};
const purse = (view: Partial<WalletView>, rest: Partial<GalleryState> = {}): GalleryState => ({
	element: "tabmesh-wallet",
	...rest,
	script: { ...open, wallet: view, ...rest.script },
});
const locked: Partial<WalletView> = {
	kind: "embedded",
	address: walletAddress,
	guarded: true,
	locked: true,
};
const installed = ["Rabbit", "A wallet with a rather long name of its own"].map((name, index) => ({
	uuid: String(index),
	name,
	icon: "",
	rdns: "org.example.wallet",
	provider: {} as never,
}));

/** Every state that a person can meet, by name. */
export const states: Record<string, GalleryState> = {
	"wallet-none": purse({}),
	"wallet-create": purse({}, { press: "Make a wallet" }),
	"wallet-phrase": purse({}, { press: "Make a wallet", fill: { passphrase: "" } }),
	"wallet-import-refused": purse(
		{},
		{
			press: "Use a recovery phrase",
			fill: { phrase: "twelve words that are no recovery phrase of anybody at all today" },
			script: {
				...open,
				walletFails: new RecoveryPhraseError("These words are not a recovery phrase.", {
					metaMessages: ["Check the spelling and the order of the 12 to 24 English words."],
				}),
			},
		},
	),
	"wallet-installed": purse({}, { press: "Use an installed wallet", script: { ...open, installed } }),
	"wallet-none-installed": purse({}, { press: "Use an installed wallet" }),
	"wallet-rejected": purse(
		{},
		{
			press: ["Use an installed wallet", "Rabbit"],
			script: { ...open, installed, walletFails: new WalletRejectedError("The wallet's owner declined.") },
		},
	),
	"wallet-embedded": purse(acts),
	"wallet-embedded-briefly": purse({ ...acts, persistent: false }),
	"wallet-injected": purse({ ...acts, kind: "injected" }),
	"wallet-locked": purse(locked),
	"wallet-wrong-passphrase": purse(locked, {
		fill: { passphrase: "guess" },
		script: {
			...open,
			walletFails: new WrongPassphraseError("This is not the wallet's passphrase.", {
				metaMessages: ["Try again, or import the wallet from its recovery phrase."],
			}),
		},
	}),
	"wallet-passphrase": purse({ ...acts, guarded: true }, { press: "Change passphrase" }),
	"wallet-export": purse({ ...acts, guarded: true }, { press: "Show recovery phrase" }),
	"wallet-revoke": purse(acts, { press: "Take it back" }),
	"wallet-revoked": purse({ ...acts, delegation: undefined, revoked: true }),
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
	"lend-serving": lend({ ...serving, routes: [route] }, { ...lively, storage: several }),
	"lend-first-minute": lend({ ...serving, streams: 0, tokensServed: 0, msPerToken: 0 }),
	"lend-why": { ...lend(serving, { models: [spare], members: lenders(3) }), press: "Why these layers?" },
	"lend-many": lend(
		{ ...serving, routes: Array(5).fill({ ...route, positions: 1_204 }), streams: 5 },
		{ ...lively, members: Array(9).fill(holders(4)).flat() },
	),
	"lend-on-battery": lend(
		{ ...serving, phase: "paused", streams: 0, rest: { why: "battery", until: undefined } },
		{ ...lively, device: { power: "battery" } },
	),
	"lend-snoozed": lend(
		{
			...serving,
			phase: "paused",
			streams: 0,
			rest: { why: "snoozed", until: Date.UTC(2026, 10, 22, 22, 5) },
		},
		lively,
	),
	"lend-idle-at-night": lend(serving, {
		...lively,
		wishes: { onlyWhenIdle: true, hours: { from: 1320, to: 420 }, computeShare: 0.5, givesLayers: false },
		device: { power: "unknown", metered: undefined },
	}),
	"lend-always": lend(serving, { ...lively, wishes: { mode: "always" } }),
	"lend-slept": lend(
		{ ...serving, absence: { why: "asleep", since: Date.now() - 15 * 60_000, until: Date.now() - 60_000 } },
		lively,
	),
	"lend-offline": lend(
		{ ...serving, absence: { why: "offline", since: Date.now() - 60_000, until: undefined } },
		lively,
	),
	"lend-notices": lend(serving, {
		...lively,
		wallet: { ...acts, delegation: { ...acts.delegation!, expires: Date.now() + 2 * 86_400_000 } },
		storage: { ...several, quotaBytes: 380e6 },
	}),
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
	"lend-growing": lend(
		{
			...serving,
			span: { from: 8, to: 10, embed: false, head: false },
			growingTo: { from: 8, to: 15, embed: false, head: false },
			loading: { phase: "fetch", loadedBytes: 41e6, totalBytes: 98e6 },
			usedBytes: 0.18e9,
			memoryBytes: 1e9,
			msPerToken: 9.1,
		},
		{ models: [tinyLlama], members: lenders(4) },
	),
	"lend-sparing": lend({ ...serving, bitsPerWeight: 8, sparing: true, msPerToken: 12 }),
	"lend-notice": lend(serving, { ...open, notice: noRoom }),
	"lend-leave-warning": { ...lend(serving), press: "Leave" },
	"lend-paused": lend({
		...serving,
		phase: "paused",
		rest: { why: "owner", until: undefined },
		streams: 1,
	}),
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
	"chat-private-loading": {
		element: "tabmesh-chat",
		script: {
			models: [tinyLlama],
			members: lenders(3),
			private: { phase: "loading", loading: { phase: "fetch", loadedBytes: 31e6, totalBytes: 78e6 } },
		},
		first: "Ask in private",
	},
	"chat-private-no-room": {
		element: "tabmesh-chat",
		script: {
			models: [tinyLlama],
			members: lenders(3),
			private: {
				phase: "failed",
				usedBytes: 0,
				error: new OutOfMemoryBudgetError(
					"This device has too little memory to keep its own part of the model: it may use 250 MB.",
					{ metaMessages: ["Ask without private mode, or choose a smaller model."] },
				),
			},
		},
		first: "Ask in private",
	},
	"chat-private-answered": {
		...chat(
			[
				{
					stages: [
						{
							...fourOfTwentyTwo[0]!,
							peer: thisTab,
							span: { from: 0, to: 2, embed: true, head: false },
							msPerToken: 9.1,
						},
						stage(0, 2, 12, 22, { msPerToken: 24.6 }),
						stage(1, 12, 22, 22, { msPerToken: 31.2, span: { from: 12, to: 22, embed: false, head: false } }),
						{
							...fourOfTwentyTwo[3]!,
							peer: thisTab,
							span: { from: 22, to: 22, embed: false, head: true },
							msPerToken: 12.3,
						},
					],
				},
				...words(tides),
				{ end: "stop" },
			],
			{ models: [tinyLlama], members: lenders(2) },
			["Explain tides to a child."],
		),
		first: "Ask in private",
	},
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
	"chat-busy": chat([
		{ stages: three.map((view) => ({ ...view, state: "opening", msPerToken: 0, progress: 0 })) },
		{ wait: { busy: true, retryAfterMs: 12_000 } },
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
	"chat-replacing": chat([
		{ stages: three },
		...words(fox.slice(0, 160)),
		{
			stages: three.map((view, index) => (index === 1 ? { ...view, state: "opening", msPerToken: 0 } : view)),
		},
	]),
	"chat-waiting-for-spare": chat([
		{ stages: three },
		...words(fox.slice(0, 160)),
		{ stages: three.map((view, index) => (index === 1 ? { ...view, state: "lost" } : view)) },
	]),
	"chat-replaced": chat([
		{ stages: three },
		...words(fox.slice(0, 160)),
		{ replay: { numericsChanged: true } },
		...words(fox.slice(160)),
		{ end: "stop" },
	]),
	"chat-resuming": left([{ stages: three.map((view) => ({ ...view, state: "opening", msPerToken: 0 })) }]),
	"chat-resumed": left([{ stages: three }, ...words(fox), { end: "stop" }]),
	"chat-conversation": chat(
		[{ stages: fourOfTwentyTwo }, ...words(tides), { end: "length" }],
		{ models: [tinyLlama, full], members: lenders(4) },
		["Explain tides to a child.", "And why are there two of them each day?"],
	),
	"chat-markdown": chat([{ stages: fourOfTwentyTwo }, ...words(guide), { end: "stop" }], asksTinyLlama, [
		"Compare tides, please.",
	]),
	"chat-markdown-streaming": chat(
		[{ stages: fourOfTwentyTwo }, ...words(guide.slice(0, 640))],
		asksTinyLlama,
		["Compare tides, please."],
	),
	"chat-right-to-left": chat(
		[{ stages: fourOfTwentyTwo }, ...words(rightToLeft), { end: "stop" }],
		asksTinyLlama,
		["ما هو المد والجزر؟"],
	),
	"chat-details": {
		...chat([{ stages: fourOfTwentyTwo }, ...words(tides), { end: "stop" }], asksTinyLlama, [
			"Explain tides to a child.",
		]),
		press: "tokens/s",
	},
	"chat-editing": {
		...chat([{ stages: fourOfTwentyTwo }, ...words(tides), { end: "stop" }], asksTinyLlama, [
			"Explain tides to a child.",
		]),
		press: "Change the question",
	},
	"chat-versions": {
		...chat([{ stages: fourOfTwentyTwo }, ...words(tides), { end: "stop" }], asksTinyLlama, [
			"Explain tides to a child.",
		]),
		press: "Another answer",
	},
	"chat-settings": {
		element: "tabmesh-chat",
		script: {
			...asksTinyLlama,
			models: [
				tinyLlama,
				full,
				model(
					{ missingBytes: 2_100_000_000 },
					{
						name: "A model with a rather long name of its own, 8B",
						id: "bafyother",
						layers: 32,
						chats: true,
					},
				),
			],
		},
		press: "TinyLlama-1.1B-Chat",
	},
	"chat-keeping": {
		element: "tabmesh-chat",
		script: { ...asksTinyLlama, answer: [{ stages: fourOfTwentyTwo }, ...words(tides), { end: "stop" }] },
		keeps: "on the device",
	},
	"chat-kept": { element: "tabmesh-chat", script: asksTinyLlama, keeps: kept, shows: "tides" },
	"chat-list": {
		element: "tabmesh-chat",
		script: asksTinyLlama,
		keeps: kept,
		shows: "tides",
		press: "Conversations",
	},
	"chat-list-empty": { element: "tabmesh-chat", script: asksTinyLlama, keeps: [], press: "Conversations" },
	"chat-list-deleted": {
		element: "tabmesh-chat",
		script: asksTinyLlama,
		keeps: kept,
		press: ["Conversations", "Delete"],
	},
	"chat-list-renaming": {
		element: "tabmesh-chat",
		script: asksTinyLlama,
		keeps: kept,
		press: ["Conversations", "Rename"],
	},
	"chat-not-kept": {
		...chat([{ stages: fourOfTwentyTwo }, ...words(tides), { end: "stop" }], asksTinyLlama, [
			"Explain tides to a child.",
		]),
		keeps: noRoomToKeep,
	},
	"chat-gone": { element: "tabmesh-chat", script: asksTinyLlama, keeps: [], shows: "elsewhere" },
	"chat-ready": { element: "tabmesh-chat", script: asksTinyLlama },
	"storage-looking": keeps(undefined),
	"storage-unreadable": keeps(
		new StorageQuotaError("What this browser keeps for this page cannot be read.", {
			metaMessages: ["Close other tabs of this page and try again."],
		}),
	),
	"storage-empty": keeps(nothing),
	"storage-kept": keeps(several),
	"storage-freeing": { ...keeps({ ...several, kept: [report, stories] }), press: "Free" },
	"storage-freeing-unused": { ...keeps({ ...several, looseBytes: 3e6 }), press: "Free everything unused" },
	"storage-refused": {
		...keeps(
			{ ...several, kept: [stories] },
			{
				refuse: new StorageInUseError("This is in use on this device right now, so it stays.", {
					metaMessages: ["Leave, or close the tab that lends it, and free it then."],
				}),
			},
		),
		press: ["Free", "Free 41 MB"],
	},
	"storage-full": keeps({
		...several,
		memoryBytes: 58_720_256,
		quotaBytes: 372_000_000,
		degraded: {
			reason: "quota",
			message:
				"The browser refuses 1048576 more bytes: it gives this site 372000000 bytes, 371200000 are taken. Up to 268435456 bytes stay in memory until the page or program ends.",
			since: minutes(3),
		},
	}),
	"storage-denied": keeps({
		...nothing,
		quotaBytes: undefined,
		originBytes: undefined,
		degraded: {
			reason: "denied",
			message:
				"Nothing can be kept on this device (SecurityError: denied): up to 268435456 bytes stay in memory until the page or program ends.",
			since: minutes(3),
		},
	}),
	"storage-many": keeps({
		...room,
		persisted: true,
		looseBytes: 3_145_728,
		kept: [
			{
				...llama,
				inUse: false,
				name: "W".repeat(120),
				from: Array.from({ length: 24 }, (_, i) => ({
					kind: "peer" as const,
					name: `${peers[i % 4]!.slice(0, -5)}${10_000 + i}`,
					bytes: 13_441_321,
				})),
			},
			{ ...stories, name: "<img src=x onerror=window.pwned=1>\u202Eright to left" },
			{ ...report, name: undefined as never, pinned: false, wholeBytes: undefined as never },
		],
	}),
	"lend-cannot": { element: "tabmesh-lend", script: open, lacks: ["WebAssembly"] },
	"lend-cannot-reach": {
		element: "tabmesh-lend",
		script: open,
		lacks: ["isSecureContext", "RTCPeerConnection"],
	},
	"lend-keeps-nothing": { element: "tabmesh-lend", script: open, lacks: ["indexedDB"] },
	"chat-cannot": { element: "tabmesh-chat", script: open, lacks: ["RTCPeerConnection"] },
	"chat-cannot-compute": { element: "tabmesh-chat", script: open, lacks: ["Worker"] },
	"console-cannot": { ...watch(open), lacks: ["isSecureContext"] },
	"console-connecting": { ...watch({ models: [], members: [] }), connect: "hang" },
	"console-unreachable": { ...watch({ models: [], members: [] }), connect: "fail", relay: unreachable },
	"console-no-models": watch({ models: [], members: [] }),
	"console-no-peers": watch({ models: [full, tinyLlama], members: [] }),
	"console-one": { ...watch(syntheticSwarm({ peers: 1, models: 1 })), chosen: 0 },
	"console-missing": watch(syntheticSwarm({ peers: 4, models: 1, share: 0.12 })),
	"console-twenty": {
		...watch(syntheticSwarm({ peers: 20, models: 2 })),
		relay: works,
		press: "Why these layers?",
	},
	"console-peer": { ...watch(syntheticSwarm({ peers: 20, models: 2 })), relay: works, chosen: 3 },
	"console-many": {
		...watch(syntheticSwarm({ peers: 500, models: 10 })),
		relay: { ...works, figures: undefined },
	},
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
