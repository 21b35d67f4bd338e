import type {
	DeviceHistory,
	DevicePreferences,
	DeviceState,
	DeviceStorage,
	DeviceWallet,
	Explanation,
	FoundWallet,
	GenerateOptions,
	Generation,
	GenerationSummary,
	HistoryView,
	Lender,
	LenderView,
	LendOptions,
	LendPreferences,
	LendVerdict,
	ModelView,
	PreferencesView,
	PrivateMode,
	PrivateView,
	ReplayView,
	StageView,
	StorageView,
	Tabmesh,
	WaitView,
	WalletView,
} from "@tabmesh/client";
import type { Directory, Member } from "@tabmesh/directory";
import type { ConnectionView } from "@tabmesh/transport";
import type { TabmeshError } from "@tabmesh/wire";

/** What a scripted answer does, in order; it waits for ever at its end unless it ended. */
export type Step =
	| { readonly stages: readonly StageView[] }
	| { readonly wait: WaitView }
	| { readonly text: string }
	| { readonly replay: Partial<ReplayView> }
	| { readonly fail: Error }
	| { readonly end: "stop" | "length" };

export interface Script {
	readonly models: readonly ModelView[];
	readonly members: readonly Member[];
	readonly lender?: Partial<LenderView>;
	readonly answer?: readonly Step[];
	readonly notice?: TabmeshError;
	/** What the device keeps; an error is what looking at it fails with; without it looking never ends. */
	readonly storage?: StorageView | Error;
	/** What freeing is refused with. */
	readonly refuse?: Error;
	readonly wallet?: Partial<WalletView>;
	readonly installed?: readonly FoundWallet[];
	/** What comes of loading this device's own part. @default it is ready at once */
	readonly private?: Partial<PrivateView>;
	/** What this device lent so far. @default nothing */
	readonly history?: HistoryView;
	readonly wishes?: Partial<LendPreferences>;
	readonly device?: Partial<DeviceState>;
	readonly verdict?: LendVerdict;
	/** Others that this tab has lines to. */
	readonly connections?: number;
	/** What the wallet's methods fail with. */
	readonly walletFails?: Error;
}

/** A wallet that does as it is told, with the best known of all recovery phrases. */
class ScriptedWallet extends EventTarget implements DeviceWallet {
	view: WalletView;
	readonly #script: Script;
	readonly #calls: { method: string; options?: unknown }[];

	constructor(script: Script, calls: { method: string; options?: unknown }[]) {
		super();
		this.#script = script;
		this.#calls = calls;
		this.view = {
			kind: undefined,
			address: undefined,
			guarded: false,
			locked: false,
			persistent: true,
			delegation: undefined,
			revoked: false,
			...script.wallet,
		};
	}

	async load(): Promise<WalletView> {
		return this.view;
	}

	async create(): Promise<string> {
		this.#become("create", { kind: "embedded", address: walletAddress });
		return "test test test test test test test test test test test junk";
	}

	async unlock(): Promise<void> {
		this.#become("unlock", { locked: false });
	}

	async importPhrase(): Promise<void> {
		this.#become("importPhrase", { kind: "embedded", address: walletAddress });
	}

	async exportPhrase(): Promise<string> {
		this.#become("exportPhrase", {});
		return "test test test test test test test test test test test junk";
	}

	async changePassphrase(): Promise<void> {
		this.#become("changePassphrase", {});
	}

	async watchInstalled(onChange: (wallets: readonly FoundWallet[]) => void): Promise<void> {
		onChange(this.#script.installed ?? []);
	}

	async use(): Promise<void> {
		this.#become("use", { kind: "injected", address: walletAddress });
	}

	async delegate() {
		const delegation = {
			wallet: walletAddress,
			scopes: ["ask", "lend"],
			expires: Date.UTC(2026, 11, 21),
			published: true,
		};
		this.#become("delegate", { delegation, revoked: false });
		return delegation;
	}

	async revoke(): Promise<void> {
		this.#become("revoke", { delegation: undefined, revoked: true });
	}

	async of(): Promise<undefined> {}

	#become(method: string, view: Partial<WalletView>): void {
		if (this.#script.walletFails) throw this.#script.walletFails;
		this.#calls.push({ method });
		this.view = { ...this.view, ...view };
		this.dispatchEvent(new Event("change"));
	}
}

export const walletAddress = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266";

/** This device's own part, as far as the script says. */
class ScriptedPrivate extends EventTarget implements PrivateMode {
	view: PrivateView = { phase: "off", model: undefined, loading: undefined, usedBytes: 0, error: undefined };
	readonly #script: Script;
	readonly #calls: { method: string; options?: unknown }[];

	constructor(script: Script, calls: { method: string; options?: unknown }[]) {
		super();
		this.#script = script;
		this.#calls = calls;
	}

	async load(model?: string): Promise<void> {
		this.#calls.push({ method: "private.load", options: model });
		this.#become({ phase: "ready", model, usedBytes: 171e6, ...this.#script.private });
		if (this.view.error) throw this.view.error;
	}

	async free(): Promise<void> {
		this.#calls.push({ method: "private.free" });
		this.#become({ phase: "off", loading: undefined, usedBytes: 0, error: undefined });
	}

	#become(view: Partial<PrivateView>): void {
		this.view = { ...this.view, ...view };
		this.dispatchEvent(new Event("change"));
	}
}

/** Storage that says what it is told to, and frees what it is asked to. */
class ScriptedStorage extends EventTarget implements DeviceStorage {
	readonly #script: Script;
	readonly #calls: { method: string; options?: unknown }[];
	#view: StorageView | undefined;

	constructor(script: Script, calls: { method: string; options?: unknown }[]) {
		super();
		this.#script = script;
		this.#calls = calls;
		if (script.storage && !(script.storage instanceof Error)) this.#view = script.storage;
	}

	async view(): Promise<StorageView> {
		if (this.#script.storage instanceof Error) throw this.#script.storage;
		return this.#view ?? new Promise(() => {});
	}

	async setBudget(budgetBytes: number): Promise<void> {
		this.#become("setBudget", budgetBytes, (view) => ({ ...view, budgetBytes }));
	}

	async persist(): Promise<boolean> {
		this.#become("persist", undefined, (view) => ({ ...view, persisted: true }));
		return true;
	}

	async free(id: string): Promise<number> {
		if (this.#script.refuse) throw this.#script.refuse;
		return this.#freeWhere("free", id, (thing) => thing.id === id);
	}

	async freeUnused(): Promise<number> {
		return this.#freeWhere("freeUnused", undefined, ({ pinned, inUse }) => !pinned && !inUse);
	}

	#freeWhere(
		method: string,
		options: unknown,
		goes: (thing: StorageView["kept"][number]) => boolean,
	): number {
		let freed = 0;
		this.#become(method, options, (view) => {
			freed = view.kept.filter(goes).reduce((sum, { bytes }) => sum + bytes, 0);
			return {
				...view,
				kept: view.kept.filter((thing) => !goes(thing)),
				usedBytes: view.usedBytes - freed,
				...(method === "free" ? {} : { looseBytes: 0 }),
			};
		});
		return freed;
	}

	#become(method: string, options: unknown, change: (view: StorageView) => StorageView): void {
		this.#calls.push(options === undefined ? { method } : { method, options });
		if (this.#view) this.#view = change(this.#view);
		this.dispatchEvent(new Event("change"));
	}
}

/** What was lent, as the script says. */
class ScriptedHistory extends EventTarget implements DeviceHistory {
	readonly #view: HistoryView;

	constructor(script: Script) {
		super();
		const today = { day: "2026-11-22", tokens: 0, hours: Array(24).fill(0), minutes: 0 };
		const ever = { tokens: 0, minutes: 0, since: undefined };
		this.#view = script.history ?? { days: [], today, lastHour: 0, ever };
	}

	async view(): Promise<HistoryView> {
		return this.#view;
	}
}

/** Wishes that are written down, on a device that is as the script says. */
class ScriptedPreferences extends EventTarget implements DevicePreferences {
	view: PreferencesView;
	readonly #calls: { method: string; options?: unknown }[];

	constructor({ device, verdict, wishes }: Script, calls: { method: string; options?: unknown }[]) {
		super();
		this.#calls = calls;
		this.view = {
			wishes: {
				mode: "preferences",
				onBattery: false,
				onMetered: false,
				onlyWhenIdle: false,
				hours: null,
				computeShare: 1,
				givesLayers: true,
				snoozedUntil: null,
				...wishes,
			},
			device: { power: "plugged", metered: false, idle: false, idleOf: "page", ...device },
			verdict: verdict ?? { why: undefined, until: undefined },
			mayDetectIdle: true,
		};
	}

	set(wishes: Partial<LendPreferences>): void {
		this.#calls.push({ method: "preferences.set", options: wishes });
		this.view = { ...this.view, wishes: { ...this.view.wishes, ...wishes } };
		this.dispatchEvent(new Event("change"));
	}

	async askForIdle(): Promise<boolean> {
		this.#calls.push({ method: "preferences.askForIdle" });
		return false;
	}
}

/** A lender that is whatever it is told to be, and obeys its three buttons. */
export class ScriptedLender extends EventTarget implements Lender {
	view: LenderView;

	constructor(view: LenderView) {
		super();
		this.view = view;
	}

	become(view: Partial<LenderView>): void {
		this.view = { ...this.view, ...view };
		this.dispatchEvent(new Event("change"));
	}

	async pause(): Promise<void> {
		this.become({ phase: "paused", rest: { why: "owner", until: undefined } });
	}

	async resume(): Promise<void> {
		this.become({ phase: "serving", rest: undefined });
	}

	async leave(): Promise<void> {
		this.become({ phase: "left", span: undefined, streams: 0, usedBytes: 0 });
	}
}

/** A network that follows a script, for pictures and for tests of elements: no peer, no model, no clock. */
export class ScriptedTabmesh extends EventTarget implements Tabmesh {
	readonly peer = "12D3KooWQ2xTtW6zsSxzKDPGAYRfkkGx4jzDqUrJM5vXhVuaThis";
	readonly room = "public";
	readonly connections: readonly ConnectionView[];
	readonly storage: DeviceStorage;
	readonly wallet: DeviceWallet;
	readonly private: PrivateMode;
	readonly preferences: DevicePreferences;
	readonly history: DeviceHistory;
	models: readonly ModelView[];
	members: readonly Member[];
	/** Everything that was asked of it, for tests. */
	readonly calls: { method: string; options?: unknown }[] = [];
	lender: ScriptedLender | undefined;
	/** What the next answers do. */
	answer: readonly Step[];
	/** Resolves when the latest answer has done all that its script says. */
	rested: Promise<void> = Promise.resolve();
	readonly #script: Script;

	constructor(script: Script) {
		super();
		this.#script = script;
		this.answer = script.answer ?? [];
		this.models = script.models;
		this.members = script.members;
		this.storage = new ScriptedStorage(script, this.calls);
		this.wallet = new ScriptedWallet(script, this.calls);
		this.private = new ScriptedPrivate(script, this.calls);
		this.preferences = new ScriptedPreferences(script, this.calls);
		this.history = new ScriptedHistory(script);
		this.connections = Array.from({ length: script.connections ?? 0 }, (_, i) => ({
			peer: `peer ${i}`,
			path: "direct",
			rttMs: 12,
			since: 0,
			agreement: undefined,
		}));
	}

	override addEventListener(
		type: string,
		listener: EventListenerObject | ((event: never) => void) | null,
		options?: boolean | AddEventListenerOptions,
	): void {
		super.addEventListener(type, listener as EventListener | null, options);
	}

	override removeEventListener(
		type: string,
		listener: EventListenerObject | ((event: never) => void) | null,
	): void {
		super.removeEventListener(type, listener as EventListener | null);
	}

	/** As the planner words it; its plan has tests of its own. */
	explain(): readonly Explanation[] {
		const speed = "6.0\u00a0ms a token by its measured speed.";
		const own = {
			peer: this.peer,
			text: `Takes layers 1–2 as a spare: of all that fits its memory they have the fewest holders; 1 other holds them, too. ${speed}`,
		};
		return [
			...(this.lender ? [own] : []),
			...this.members.map(({ peer, lends }, i) => {
				const { from, to } = lends?.spans[0] ?? { from: 2 * i, to: 2 * i + 2 };
				return {
					peer,
					text: `Keeps layers ${from + 1}–${to}: it has them already, and nothing calls for a move; nobody else holds them. ${speed}`,
				};
			}),
		];
	}

	/** Peers came, went or loaded something. */
	becomeSwarm(models: readonly ModelView[], members: readonly Member[]): void {
		this.models = models;
		this.members = members;
		this.dispatchEvent(new Event("swarm"));
	}

	/** Something went wrong that ended nothing. */
	note(error: TabmeshError): void {
		this.dispatchEvent(new CustomEvent("notice", { detail: error }));
	}

	get directory(): Directory {
		throw new Error("A scripted network has no directory.");
	}

	async state(): Promise<never> {
		throw new Error("A scripted network has no shared state.");
	}

	async files(): Promise<never> {
		throw new Error("A scripted network has no files.");
	}

	lend(options: LendOptions): Lender {
		this.calls.push({ method: "lend", options });
		this.lender = new ScriptedLender({
			phase: "joining",
			model: this.models[0],
			span: undefined,
			growingTo: undefined,
			backend: undefined,
			threads: 2,
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
			since: Date.now(),
			error: undefined,
			...this.#script.lender,
		});
		return this.lender;
	}

	generate(options: GenerateOptions): Generation {
		const { signal: _, onStages, onReplay, onWait, ...plain } = options;
		this.calls.push({ method: "generate", options: plain });
		return this.#begin({
			...(onStages ? { onStages } : {}),
			...(onReplay ? { onReplay } : {}),
			...(onWait ? { onWait } : {}),
		});
	}

	/** No element asks for vectors. */
	async embed(): Promise<never> {
		throw new Error("A scripted network reads no texts.");
	}

	resume(left: string, options: Pick<GenerateOptions, "onStages" | "onReplay"> = {}): Generation {
		this.calls.push({ method: "resume", options: left });
		return this.#begin(options);
	}

	#begin({
		onStages,
		onReplay,
		onWait,
	}: Pick<GenerateOptions, "onStages" | "onReplay" | "onWait">): Generation {
		const cancelled = Promise.withResolvers<void>();
		const rest = Promise.withResolvers<void>();
		this.rested = rest.promise;
		const whole = Promise.withResolvers<GenerationSummary>();
		const steps = this.answer;
		const calls = this.calls;
		let text = "";
		let token = 0;
		let stages: readonly StageView[] = [];
		let stopped = false;
		const finish = (finishReason: GenerationSummary["finishReason"]) => {
			rest.resolve();
			whole.resolve({
				model: "",
				promptTokens: [1],
				tokens: Array.from({ length: token }, (_, index) => index),
				text,
				finishReason,
				stages,
				replays: [],
				receipts: [],
				laps: { count: 0, drafted: 0, accepted: 0 },
				timing: { firstTokenMs: 312, tokensPerSecond: 41.3 },
			});
		};
		async function* pieces() {
			for (const step of steps) {
				await new Promise((resolve) => setTimeout(resolve));
				if (stopped) break;
				if ("stages" in step) {
					stages = step.stages;
					onStages?.(stages);
				} else if ("wait" in step) {
					onWait?.(step.wait);
				} else if ("replay" in step) {
					onReplay?.({
						position: token,
						lost: [stages[0]!.peer],
						spares: [stages[1]!.peer],
						stallMs: 520,
						numericsChanged: false,
						...step.replay,
					});
				} else if ("text" in step) {
					text += step.text;
					yield { text: step.text, token: token++ };
				} else if ("fail" in step) {
					rest.resolve();
					whole.reject(step.fail);
					throw step.fail;
				} else {
					finish(step.end);
					return;
				}
			}
			rest.resolve();
			await cancelled.promise;
			finish("cancelled");
		}
		return {
			[Symbol.asyncIterator]: pieces,
			summary: whole.promise,
			cancel() {
				calls.push({ method: "cancel" });
				stopped = true;
				cancelled.resolve();
			},
			detach() {
				calls.push({ method: "detach" });
				stopped = true;
				cancelled.resolve();
				return token > 0 ? "what was left" : undefined;
			},
		};
	}

	async close(): Promise<void> {
		this.calls.push({ method: "close" });
	}
}
