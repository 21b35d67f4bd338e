import type {
	GenerateOptions,
	Generation,
	GenerationSummary,
	Lender,
	LenderView,
	LendOptions,
	ModelView,
	StageView,
	Tabmesh,
} from "@tabmesh/client";
import type { Directory, Member } from "@tabmesh/directory";
import type { TabmeshError } from "@tabmesh/wire";

/** What a scripted answer does, in order; it waits for ever at its end unless it ended. */
export type Step =
	| { readonly stages: readonly StageView[] }
	| { readonly text: string }
	| { readonly fail: Error }
	| { readonly end: "stop" | "length" };

export interface Script {
	readonly models: readonly ModelView[];
	readonly members: readonly Member[];
	readonly lender?: Partial<LenderView>;
	readonly answer?: readonly Step[];
	readonly notice?: TabmeshError;
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
		this.become({ phase: "paused" });
	}

	async resume(): Promise<void> {
		this.become({ phase: "serving" });
	}

	async leave(): Promise<void> {
		this.become({ phase: "left", span: undefined, streams: 0, usedBytes: 0 });
	}
}

/** A network that follows a script, for pictures and for tests of elements: no peer, no model, no clock. */
export class ScriptedTabmesh extends EventTarget implements Tabmesh {
	readonly peer = "12D3KooWQ2xTtW6zsSxzKDPGAYRfkkGx4jzDqUrJM5vXhVuaThis";
	readonly room = "public";
	readonly connections = [];
	models: readonly ModelView[];
	members: readonly Member[];
	/** Everything that was asked of it, for tests. */
	readonly calls: { method: string; options?: unknown }[] = [];
	lender: ScriptedLender | undefined;
	/** Resolves when the latest answer has done all that its script says. */
	rested: Promise<void> = Promise.resolve();
	readonly #script: Script;

	constructor(script: Script) {
		super();
		this.#script = script;
		this.models = script.models;
		this.members = script.members;
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

	lend(options: LendOptions): Lender {
		this.calls.push({ method: "lend", options });
		this.lender = new ScriptedLender({
			phase: "joining",
			model: this.models[0],
			span: undefined,
			backend: undefined,
			threads: 2,
			loading: undefined,
			memoryBytes: options.memoryBytes,
			usedBytes: 0,
			streams: 0,
			tokensServed: 0,
			msPerToken: 0,
			since: Date.now(),
			error: undefined,
			...this.#script.lender,
		});
		return this.lender;
	}

	generate(options: GenerateOptions): Generation {
		const { signal: _, onStages, ...plain } = options;
		this.calls.push({ method: "generate", options: plain });
		const cancelled = Promise.withResolvers<void>();
		const rest = Promise.withResolvers<void>();
		this.rested = rest.promise;
		const whole = Promise.withResolvers<GenerationSummary>();
		const steps = this.#script.answer ?? [];
		const calls = this.calls;
		let text = "";
		let token = 0;
		let stages: readonly StageView[] = [];
		let stopped = false;
		const finish = (finishReason: GenerationSummary["finishReason"]) => {
			rest.resolve();
			whole.resolve({
				model: options.model ?? "",
				promptTokens: [1],
				tokens: Array.from({ length: token }, (_, index) => index),
				text,
				finishReason,
				stages,
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
		};
	}

	async close(): Promise<void> {
		this.calls.push({ method: "close" });
	}
}
