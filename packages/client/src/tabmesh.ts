import type { Cstore } from "@tabmesh/cstore";
import type { Wallet } from "@tabmesh/dauth/wallet";
import type { Directory, Member } from "@tabmesh/directory";
import type { Backend, LoadProgress } from "@tabmesh/model";
import type { Explanation, ServedRoute, SignedReceipt } from "@tabmesh/pipeline";
import type { R1fs } from "@tabmesh/r1fs";
import type { ConnectionView } from "@tabmesh/transport";
import type { Constraint, FinishReason, Sampling, Span, TabmeshError } from "@tabmesh/wire";
import type { DeviceHistory } from "./deviceHistory.ts";
import type { DevicePreferences } from "./devicePreferences.ts";
import type { DeviceStorage } from "./deviceStorage.ts";
import type { DeviceWallet } from "./deviceWallet.ts";
import type { RestReason } from "./lendPreferences.ts";
import type { Absence } from "./watchAbsence.ts";

/** How to reach a network. */
export interface ConnectOptions {
	/** Address of a relay's site. In a page the page's own origin is the default. */
	relay?: string;
	/** Which of the relay's rooms to enter. @default the capability's, else the one that the site names */
	room?: string;
	/** In a private room: an invitation to it, as a link brings it (`mintCapability`). Its owner needs none. */
	capability?: string;
	/**
	 * A wallet to act for, of `@tabmesh/dauth/wallet`: one delegation is asked of it, unless it gave one that holds, and shown to
	 * the room. An installed wallet opens its window: call from a click then.
	 */
	wallet?: Wallet;
	/** Node: folder of the embedded wallet and of delegations; without it they last as long as the process. Pages use IndexedDB. */
	walletDir?: string;
	/** The chain that wallets sign for, and a node that answers for contract wallets. @default the site's, else Ethereum's id and no node */
	chain?: { id: number; rpc?: string };
	/** Node: where the peer key is kept; without it every connection is a new peer. Pages keep theirs in a key slot. */
	keyFile?: string;
	/** Node: folder in which weights are kept between starts; without it nothing is kept. Pages keep theirs in IndexedDB. */
	cacheDir?: string;
	signal?: AbortSignal;
}

export interface TabmeshEvents {
	/** Members, models or their coverage changed. */
	swarm: Event;
	/** A connection came, went or changed. */
	connections: Event;
	/** Something went wrong that ended nothing: an origin that serves wrong bytes, a device without room for weights. */
	notice: CustomEvent<TabmeshError>;
}

/** A model as people choose it, and how much of it the swarm holds now. */
export interface ModelView {
	/** CID of the manifest. */
	readonly id: string;
	readonly name: string;
	readonly license: string | undefined;
	readonly layers: number;
	readonly contextLength: number;
	/** Bytes of the weights as they are fetched. */
	readonly sourceBytes: number;
	/** Bytes of the weights in float32, the largest format that any backend runs. */
	readonly loadedBytes: number;
	/** Whether it follows a chat template or only continues text. */
	readonly chats: boolean;
	readonly coverage: {
		/** For each layer, how many ready peers hold it. */
		readonly holders: readonly number[];
		/** Whether a stream could start now. */
		readonly complete: boolean;
		/** Bytes of memory that lenders would have to add before the whole model fits; 0 when it does. */
		readonly missingBytes: number;
		/** Lenders that are fetching or compiling a span of it. */
		readonly loading: number;
	};
}

/** One stage of a route, while and after it serves. */
export interface StageView {
	readonly peer: string;
	readonly span: Span;
	/** Median milliseconds per decoded token, 0 before the first. */
	readonly msPerToken: number;
	/** `preparing` while it still fetches or compiles. */
	readonly state: "opening" | "preparing" | "ready" | "lost";
	/** 0 to 1 while preparing. */
	readonly progress: number;
}

export interface GenerationTiming {
	/** From the call to the first token. */
	readonly firstTokenMs: number;
	/** After the first token. */
	readonly tokensPerSecond: number;
}

/** Why an answer does not begin yet. */
export interface WaitView {
	/** Whether peers have no room; else they just took other layers, and others are about to take theirs. */
	readonly busy: boolean;
	/** In how many milliseconds one expects to have room, where it can tell. */
	readonly retryAfterMs: number | undefined;
}

/** A peer was lost in the middle of an answer, and others computed again what it had. */
export interface ReplayView {
	/** Of the first token that came after it. */
	readonly position: number;
	readonly lost: readonly string[];
	/** Who took their places. */
	readonly spares: readonly string[];
	/** How long the answer stood still. */
	readonly stallMs: number;
	/** Whether a spare computes other floats than the peer that it replaces: the rest may differ from what would have been written. */
	readonly numericsChanged: boolean;
}

/** A token as it is written by itself, and how likely it was. */
export interface TokenProbability {
	readonly token: number;
	/** Of half a character the replacement character, of a special token its name. */
	readonly text: string;
	/** UTF-8; undefined where the token stands for no text. */
	readonly bytes: Uint8Array | undefined;
	/** Natural logarithm: of the model's own distribution, before temperature, penalties, biases and the form of an answer. */
	readonly logprob: number;
}

/** A token of an answer, and what was likeliest in its place. */
export interface AnswerProbability extends TokenProbability {
	/** Where in the answer's text it begins. */
	readonly at: number;
	/** The likeliest first. */
	readonly top: readonly TokenProbability[];
}

/** What a generation did, whole. */
export interface GenerationSummary {
	readonly model: string;
	readonly promptTokens: readonly number[];
	readonly tokens: readonly number[];
	/** Empty where it called functions. */
	readonly text: string;
	/** The functions that it called. */
	readonly calls?: readonly CalledTool[];
	/** Of the tokens that `text` is made of, where it was asked for. */
	readonly logprobs?: readonly AnswerProbability[];
	readonly finishReason: FinishReason | "cancelled";
	readonly stages: readonly StageView[];
	/** Every time that a peer was lost on the way and others took its place, in order. */
	readonly replays: readonly ReplayView[];
	/** What the lenders did, as they and we signed it: of each the newest, which stands for all before. */
	readonly receipts: readonly SignedReceipt[];
	/** Trips around the ring, how many tokens were guessed for them, and how many of those were right. */
	readonly laps: { readonly count: number; readonly drafted: number; readonly accepted: number };
	readonly timing: GenerationTiming;
}

/** How to ask. Of the sampling's numbers that are left out, temperature is 0 for `messages` and 0.8 for a text to continue. */
export interface GenerateOptions extends Partial<Sampling> {
	/** Model id or name; the network's default if absent. */
	model?: string;
	/** Exactly one of `messages`, `prompt` and `promptTokens`. */
	messages?: readonly ChatTurn[];
	/** Functions that the answer to `messages` may call; not beside a `constraint`. */
	tools?: ToolOffer;
	/** Continued as it is, after the model's beginning-of-text token. */
	prompt?: string;
	promptTokens?: readonly number[];
	/** @default 256 */
	maxTokens?: number;
	/** Strings at which the answer ends; they are not part of it. */
	stop?: readonly string[];
	/**
	 * A form that the answer is held to: JSON that fits a schema. The last stage picks no other token, and this device checks that it
	 * did not.
	 */
	constraint?: Constraint;
	/** Tell with each token how likely it and so many of the likeliest (0 to 20) were. @default nothing of it */
	logprobs?: number;
	/** Ask for at least this many stages. @default what the network asks for */
	minStages?: number;
	/** Whether tokens may be guessed, so that one trip around the ring brings several: the answer is the same. @default true */
	speculation?: boolean;
	/**
	 * Whether this device computes embedding, first layers and head itself, so that the peers see hidden states and no text. It loads them
	 * first (see `Tabmesh.private`), and computes with every token: to be turned on by a person's click only. @default false
	 */
	private?: boolean;
	/** For whom this device asks, where that are several people: what peers keep of one's answers begins nobody else's. */
	apart?: string;
	/** Called whenever a stage's state or timing changes. */
	onStages?: (stages: readonly StageView[]) => void;
	/** Called when the place of a lost peer was taken and the answer goes on. */
	onReplay?: (replay: ReplayView) => void;
	/** Called whenever the swarm is waited for before the answer begins. */
	onWait?: (wait: WaitView) => void;
	signal?: AbortSignal;
}

/** Whose vector is wanted. */
export interface EmbedOptions {
	/** Model id or name; the network's default if absent. */
	model?: string;
	/** Exactly one of `text` and `tokens`. */
	text?: string;
	tokens?: readonly number[];
	/** How many numbers are expected; others than the model has are refused. */
	dimensions?: number;
	/** As in `GenerateOptions`, all of them. */
	minStages?: number;
	private?: boolean;
	apart?: string;
	signal?: AbortSignal;
}

/** What a text is to a model: texts of which it makes much the same point in much the same direction. */
export interface Embedding {
	readonly model: string;
	readonly tokens: readonly number[];
	/** Of length 1, with as many numbers as the model's hidden size. */
	readonly vector: Float32Array;
}

export interface ChatMessage {
	role: "system" | "user" | "assistant";
	content: string;
}

/** A function that a model may call. */
export interface OfferedTool {
	readonly name: string;
	readonly description?: string | undefined;
	/** A JSON Schema of its arguments, to which they are held. */
	readonly parameters: object;
}

/** Which functions may be called, and how. */
export interface ToolOffer {
	readonly tools: readonly OfferedTool[];
	/** Whether the answer may be a text instead. */
	readonly orText: boolean;
	/** Whether it may call several, where the model can. */
	readonly several: boolean;
}

/** A function that an answer called. */
export interface CalledTool {
	readonly id: string;
	readonly name: string;
	/** JSON. */
	readonly arguments: string;
}

/** One turn of a chat: a message, or calls of functions, or what one of them gave. */
export type ChatTurn =
	| ChatMessage
	| { role: "assistant"; content: string; calls: readonly CalledTool[] }
	| { role: "tool"; content: string; callId?: string };

/** What one token added to an answer. */
export interface AnswerPiece {
	/** Empty while a character, or what may become a stop string, is not complete. */
	readonly text: string;
	readonly token: number;
	/** Functions that it calls: each as soon as its arguments are whole. */
	readonly calls?: readonly CalledTool[];
	/** Of the tokens whose text begins in what there is now, where it was asked for. */
	readonly logprobs?: readonly AnswerProbability[];
}

/** A running answer: iterate over pieces of text; `summary` resolves when it ends. */
export interface Generation extends AsyncIterable<AnswerPiece> {
	readonly summary: Promise<GenerationSummary>;
	/** Frees every stage; the text so far stays. */
	cancel(): void;
	/**
	 * Ends the answer here and leaves it to be gone on with by `resume`: the page is being reloaded. Its stages keep it for a
	 * minute; later than that it is computed again up to where it was.
	 *
	 * @returns text to be kept in the page's own storage; undefined where nothing is running yet, or any more, and where `logprobs` or
	 * `tools` were asked for, of which a part was told already
	 */
	detach(): string | undefined;
}

export interface LendOptions {
	/** Model id or name; the network's default if absent. */
	model?: string;
	/** Bytes of memory to lend. */
	memoryBytes: number;
	/**
	 * Id or name of a small model of the network with the same vocabulary, which guesses tokens where this device is the first of a
	 * route. Its memory is taken from `memoryBytes`. @default none: guesses come from what stands in the text
	 */
	draftModel?: string;
	/** @default best available */
	backend?: Backend;
	/** @default 1, or what the device has when the page is cross-origin isolated */
	threads?: number;
	/**
	 * Milliseconds of serving after which this device, while nobody asks it for anything, begins to fetch to its disk the layers that
	 * it may be asked to hold next, as far as the storage budget has room. `Infinity`: never. @default 60,000
	 */
	nextLayersAfterMs?: number;
	/** Bytes that one worker holds at most; what is more lies in several. For trying that with small models. @default what a WebAssembly heap holds */
	heapBytes?: number;
}

/** Why a lender takes no new streams for now. */
export interface LenderRest {
	/** `owner`: by `pause()`; `frozen`: the browser stops the page; the others by the preferences of the device. */
	readonly why: "owner" | "frozen" | RestReason;
	/** When the clock alone ends it, in milliseconds since 1970; undefined when it does not. */
	readonly until: number | undefined;
}

/** A lender's state, all that a person wants to see. */
export interface LenderView {
	/**
	 * `joining`: reaching the network; `waiting`: no span fits yet; `loading`: fetching or compiling; `serving`;
	 * `paused`; `left`; `failed`: see `error`.
	 */
	readonly phase: "joining" | "waiting" | "loading" | "serving" | "paused" | "left" | "failed";
	readonly model: ModelView | undefined;
	readonly span: Span | undefined;
	/** The longer span that it is to hold, while it serves `span` and the rest is on its way (`loading`). */
	readonly growingTo: Span | undefined;
	readonly backend: Backend | undefined;
	readonly threads: number;
	/** Of the format in which the layers are kept: 32, 8 or 4. */
	readonly bitsPerWeight: number | undefined;
	/** Whether they are kept in fewer bits than run best here, because the swarm has too little memory. */
	readonly sparing: boolean;
	/** Name of the small model that is loaded to guess tokens with. */
	readonly draftsWith: string | undefined;
	readonly loading:
		| { readonly phase: "fetch" | "compile"; readonly loadedBytes: number; readonly totalBytes: number }
		| undefined;
	readonly memoryBytes: number;
	readonly usedBytes: number;
	/** Why it is paused. */
	readonly rest: LenderRest | undefined;
	/** The latest time in which the page could not serve. */
	readonly absence: Absence | undefined;
	/** Streams it serves now. */
	readonly streams: number;
	/** The way that each of them takes. */
	readonly routes: readonly ServedRoute[];
	/** Positions computed since it joined, prompt and answer. */
	readonly tokensServed: number;
	/** Median of the latest decode steps through its span; 0 before the first. */
	readonly msPerToken: number;
	/** Milliseconds since 1970. */
	readonly since: number;
	/** Why it failed, or why it waits. */
	readonly error: TabmeshError | undefined;
}

/** This device's share. Created by the person's click, ended by another. */
export interface Lender extends EventTarget {
	/** A fresh object at every `change` event. */
	readonly view: LenderView;
	/** Takes no new streams; the running ones finish; the span stays loaded. */
	pause(): Promise<void>;
	/** Ends what `pause` began; what the preferences of the device say holds on. */
	resume(): Promise<void>;
	/** Says goodbye, frees everything. */
	leave(): Promise<void>;
}

export type { Explanation, ServedRoute };

/** Files of people, by content address: see R1FS. */
export type SharedFiles = Pick<R1fs, "add" | "get" | "list" | "pin" | "remove" | "stat" | "unpin">;

/** This device's own part of private answers, as a person wants to see it. */
export interface PrivateView {
	readonly phase: "off" | "loading" | "ready" | "failed";
	/** Id of the model that it is of. */
	readonly model: string | undefined;
	readonly loading: LoadProgress | undefined;
	/** Bytes of memory that it takes. */
	readonly usedBytes: number;
	/** Why it failed. */
	readonly error: TabmeshError | undefined;
}

/**
 * What `generate({ private: true })` needs on this device: embedding, first layers and head of one model. It hides text and tokens from the
 * peers, and not who asks, when and how much; whoever tries can turn most hidden states back into words.
 */
export interface PrivateMode extends EventTarget {
	/** A fresh object at every `change` event. */
	readonly view: PrivateView;
	/**
	 * Loads it ahead of the first question.
	 *
	 * @param model - id or name; the network's default if absent
	 * @param options - `memoryBytes`: what it may take. @default 2 GiB in a page, a quarter of the device's where that is less; 4 GiB in Node
	 * @throws OutOfMemoryBudgetError where it does not fit, and what fetching weights throws
	 */
	load(model?: string, options?: { memoryBytes?: number; signal?: AbortSignal }): Promise<void>;
	/** Frees all of it now; private answers that are running break off. Five minutes after the last one it is freed by itself. */
	free(): Promise<void>;
}

/** One connection to one network: ask, lend, look. */
export interface Tabmesh {
	/** Our own peer id. */
	readonly peer: string;
	readonly room: string;
	readonly directory: Directory;
	/** Everybody, fresh at every `swarm` event. */
	readonly members: readonly Member[];
	readonly connections: readonly ConnectionView[];
	/** Models of the network with their coverage, fresh at every `swarm` event. The first is the default. */
	readonly models: readonly ModelView[];
	/**
	 * Why every lender of a model is to hold what it does, in sentences for people and in the order of the layers; empty while the
	 * model is not known.
	 *
	 * @param model - id or name; the network's default if absent
	 */
	explain(model?: string): readonly Explanation[];
	/** The wallet that this device acts for, by its owner's wish. Nothing is made or asked before. */
	readonly wallet: DeviceWallet;
	/**
	 * The room's shared state, joined when first called. Keys under `peer/<id>/` named `delegation` and `revoked/…` are the
	 * wallets'.
	 */
	state(): Promise<Cstore>;
	/**
	 * Files that the room's peers give each other, encrypted where `add` is told so. From the first call on this device gives what it
	 * keeps to peers of the room, and tells them what that is; in Node that takes `cacheDir`.
	 *
	 * @example
	 * ```ts
	 * const files = await mesh.files();
	 * const { link } = await files.add(blob, { encrypt: true });
	 * // Anywhere else in the room, as long as somebody there has it:
	 * const bytes = await (await mesh.files()).get(link).bytes();
	 * ```
	 */
	files(): Promise<SharedFiles>;
	/** What this device keeps. Opened when it is first asked something. */
	readonly storage: DeviceStorage;
	/** When and how much this device lends. Every lender obeys it at once. */
	readonly preferences: DevicePreferences;
	/** What this device lent, day by day. */
	readonly history: DeviceHistory;
	/** This device's own part of private answers. Nothing is loaded before it is asked for. */
	readonly private: PrivateMode;
	/**
	 * What a text is to a model, as a vector: the mean of its final hidden states behind the last norm, without the token that begins every
	 * text. The models here are made to chat and not to compare texts: for search a model that was trained for it does better.
	 *
	 * @throws NoRouteError, PromptTooLongError, EmptyPromptError, InvalidParameterError, and what private mode throws
	 */
	embed(options: EmbedOptions): Promise<Embedding>;
	/**
	 * Starts an answer.
	 *
	 * @throws NoRouteError, PromptTooLongError, EmptyPromptError, InvalidParameterError through the iterator and `summary`; with `private`
	 * also OutOfMemoryBudgetError where this device's own part does not fit in its memory
	 */
	generate(options: GenerateOptions): Generation;
	/**
	 * Goes on with an answer that was left. Its pieces come from the beginning, those that were there already at once.
	 *
	 * @param left - what `detach` gave
	 * @throws InvalidParameterError at once where `left` is something else; through the answer what `generate` throws
	 */
	resume(left: string, options?: Pick<GenerateOptions, "onStages" | "onReplay" | "signal">): Generation;
	/** Lends this device. Call it from a click handler only. */
	lend(options: LendOptions): Lender;
	addEventListener<K extends keyof TabmeshEvents>(
		type: K,
		listener: (event: TabmeshEvents[K]) => void,
		options?: AddEventListenerOptions,
	): void;
	removeEventListener<K extends keyof TabmeshEvents>(
		type: K,
		listener: (event: TabmeshEvents[K]) => void,
	): void;
	close(): Promise<void>;
}
