import type {
	ChatMessage,
	GenerateOptions,
	Generation,
	GenerationSummary,
	StageView,
	Tabmesh,
} from "@tabmesh/client";

/** One question and what came back. */
export interface Turn {
	readonly prompt: string;
	readonly chats: boolean;
	text: string;
	tokens: number;
	status: "running" | "done" | "stopped" | "failed";
	stages: readonly StageView[];
	/** Peers that were lost on the way, and replaced. */
	lost: number;
	/** Whether the rest may differ from what would have been written without that. */
	numericsChanged: boolean;
	/** `performance.now()` of the first token. */
	firstTokenAt: number | undefined;
	/** Milliseconds from the question to the first token, as this page saw it. */
	firstTokenMs: number | undefined;
	lastTokenAt: number;
	summary: GenerationSummary | undefined;
	error: unknown;
}

/** Tokens per second after the first token, from the summary where there is one. */
export function rateOf(turn: Turn): number {
	if (turn.summary) return turn.summary.timing.tokensPerSecond;
	if (turn.firstTokenAt === undefined || turn.tokens < 2) return 0;
	return ((turn.tokens - 1) * 1000) / (turn.lastTokenAt - turn.firstTokenAt);
}

/** The earlier turns as a conversation; what failed before its first token was never said. */
export function historyOf(turns: readonly Turn[]): ChatMessage[] {
	return turns
		.filter((turn) => turn.text !== "")
		.flatMap((turn) => [
			{ role: "user" as const, content: turn.prompt },
			{ role: "assistant" as const, content: turn.text },
		]);
}

/** A running answer: fills its turn and tells whenever something changed, at most as often as pieces arrive. */
export class Answer {
	readonly turn: Turn;
	/** Resolves when the turn is no longer running; never rejects. */
	readonly finished: Promise<void>;
	#generation: Generation | undefined;
	#stopped = false;

	constructor(
		tabmesh: Tabmesh,
		prompt: string,
		earlier: readonly Turn[],
		model: { readonly id: string; readonly chats: boolean },
		onChange: () => void,
	) {
		this.turn = {
			prompt,
			chats: model.chats,
			text: "",
			tokens: 0,
			status: "running",
			stages: [],
			lost: 0,
			numericsChanged: false,
			firstTokenAt: undefined,
			firstTokenMs: undefined,
			lastTokenAt: 0,
			summary: undefined,
			error: undefined,
		};
		const options: GenerateOptions = {
			model: model.id,
			onStages: (stages) => {
				this.turn.stages = stages;
				onChange();
			},
			onReplay: ({ lost, numericsChanged }) => {
				this.turn.lost += lost.length;
				this.turn.numericsChanged ||= numericsChanged;
				onChange();
			},
		};
		if (model.chats) options.messages = [...historyOf(earlier), { role: "user", content: prompt }];
		else options.prompt = prompt;
		this.finished = this.#run(tabmesh, options, onChange);
	}

	stop(): void {
		this.#stopped = true;
		this.#generation?.cancel();
	}

	async #run(tabmesh: Tabmesh, options: GenerateOptions, onChange: () => void): Promise<void> {
		const { turn } = this;
		const start = performance.now();
		try {
			const generation = tabmesh.generate(options);
			this.#generation = generation;
			// Read only after the iteration; where that throws first, this must not count as unhandled.
			generation.summary.catch(() => {});
			for await (const piece of generation) {
				turn.lastTokenAt = performance.now();
				turn.firstTokenAt ??= turn.lastTokenAt;
				turn.firstTokenMs ??= turn.lastTokenAt - start;
				turn.text += piece.text;
				turn.tokens++;
				onChange();
			}
			turn.summary = await generation.summary;
			turn.stages = turn.summary.stages;
			turn.text = turn.summary.text;
			turn.status = this.#stopped || turn.summary.finishReason === "cancelled" ? "stopped" : "done";
		} catch (error) {
			turn.status = this.#stopped ? "stopped" : "failed";
			if (!this.#stopped) turn.error = error;
		}
		onChange();
	}
}
