import type {
	ChatMessage,
	GenerateOptions,
	Generation,
	GenerationSummary,
	StageView,
	Tabmesh,
} from "@tabmesh/client";

/** Seconds are counted down while peers are waited for. */
const tickMs = 1_000;

/** One question and what came back. */
export interface Turn {
	readonly prompt: string;
	readonly chats: boolean;
	/** Whether the peers get no text of it. */
	readonly private: boolean;
	text: string;
	tokens: number;
	status: "running" | "done" | "stopped" | "failed";
	stages: readonly StageView[];
	/** The peers are busy or change their layers; `until`, by `performance.now()`, one expects to have room. */
	waiting: { readonly busy: boolean; readonly until: number | undefined } | undefined;
	/** Peers that were lost on the way, and replaced. */
	lost: number;
	/** Whether the rest may differ from what would have been written without that. */
	numericsChanged: boolean;
	/** Tokens that were there when the page was reloaded; undefined where it was not. */
	readonly before: number | undefined;
	/** `performance.now()` of the first token, of those that are new to this page. */
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
	const tokens = turn.tokens - (turn.before ?? 0);
	if (turn.firstTokenAt === undefined || tokens < 2) return 0;
	return ((tokens - 1) * 1000) / (turn.lastTokenAt - turn.firstTokenAt);
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

function newTurn(given: Pick<Turn, "prompt" | "chats"> & Partial<Turn>): Turn {
	return {
		private: false,
		text: "",
		tokens: 0,
		status: "running",
		stages: [],
		waiting: undefined,
		lost: 0,
		numericsChanged: false,
		before: undefined,
		firstTokenAt: undefined,
		firstTokenMs: undefined,
		lastTokenAt: 0,
		summary: undefined,
		error: undefined,
		...given,
	};
}

/** A conversation whose last answer was left in the middle. */
export interface LeftConversation {
	readonly turns: readonly Turn[];
	/** What `Tabmesh.resume` takes; undefined where nothing had come yet. */
	readonly answer: string | undefined;
}

/** A conversation as text, for the page's own storage. */
export function writeConversation({ turns, answer }: LeftConversation): string {
	const kept = turns.map(({ prompt, chats, text, tokens, private: isPrivate }) => {
		return { prompt, chats, text, tokens, private: isPrivate };
	});
	return JSON.stringify({ turns: kept, answer });
}

/** The conversation that `text` is, its last answer running; undefined where it is none. */
export function readConversation(text: string): LeftConversation | undefined {
	try {
		const { turns, answer } = JSON.parse(text) as { turns: unknown[]; answer: unknown };
		const read = turns.map((turn, place) => {
			const { prompt, chats, text, tokens, private: isPrivate } = turn as Record<keyof Turn, unknown>;
			if (typeof prompt !== "string" || typeof text !== "string") throw new TypeError();
			if (typeof chats !== "boolean" || typeof tokens !== "number") throw new TypeError();
			const isLeft = place === turns.length - 1;
			const status = isLeft ? "running" : "done";
			const given = { prompt, chats, text, tokens, status, private: isPrivate === true } as const;
			return newTurn({ ...given, ...(isLeft ? { before: tokens } : {}) });
		});
		if (read.length === 0) return undefined;
		return { turns: read, answer: typeof answer === "string" ? answer : undefined };
	} catch {
		return undefined;
	}
}

/** A running answer: fills its turn and tells whenever something changed, at most as often as pieces arrive. */
export class Answer {
	readonly turn: Turn;
	/** Resolves when the turn is no longer running; never rejects. */
	readonly finished: Promise<void>;
	#generation: Generation | undefined;
	#stopped = false;
	#ticking: ReturnType<typeof setInterval> | undefined;

	/** @param begin - starts the generation; what it throws ends the turn */
	private constructor(
		turn: Turn,
		begin: (events: Pick<GenerateOptions, "onStages" | "onReplay" | "onWait">) => Generation,
		onChange: () => void,
	) {
		this.turn = turn;
		const generation = () =>
			begin({
				onStages: (stages) => {
					turn.stages = stages;
					// Whom it calls may be busy still.
					if (stages.every(({ state }) => state === "preparing" || state === "ready")) this.#wait(undefined);
					onChange();
				},
				onWait: ({ busy, retryAfterMs }) => {
					const until = retryAfterMs === undefined ? undefined : performance.now() + retryAfterMs;
					this.#wait({ busy, until }, onChange);
				},
				onReplay: ({ lost, numericsChanged }) => {
					turn.lost += lost.length;
					turn.numericsChanged ||= numericsChanged;
					onChange();
				},
			});
		this.finished = this.#run(generation, onChange);
	}

	/** Asks something new. */
	static ask(
		tabmesh: Tabmesh,
		prompt: string,
		earlier: readonly Turn[],
		model: { readonly id: string; readonly chats: boolean; readonly private: boolean },
		onChange: () => void,
	): Answer {
		const messages = [...historyOf(earlier), { role: "user" as const, content: prompt }];
		const turn = newTurn({ prompt, chats: model.chats, private: model.private });
		const asked = {
			model: model.id,
			...(model.chats ? { messages } : { prompt }),
			...(model.private ? { private: true } : {}),
		};
		return new Answer(turn, (events) => tabmesh.generate({ ...asked, ...events }), onChange);
	}

	/** Goes on with an answer that was left. */
	static resume(tabmesh: Tabmesh, turn: Turn, left: string, onChange: () => void): Answer {
		return new Answer(turn, (events) => tabmesh.resume(left, events), onChange);
	}

	stop(): void {
		this.#stopped = true;
		this.#generation?.cancel();
	}

	/** Leaves the answer where it is: what `Tabmesh.resume` takes, undefined where nothing had come yet. */
	leave(): string | undefined {
		return this.#generation?.detach();
	}

	#wait(waiting: Turn["waiting"], onChange?: () => void): void {
		this.turn.waiting = waiting;
		clearInterval(this.#ticking);
		onChange?.();
		if (onChange && waiting?.until !== undefined) this.#ticking = setInterval(onChange, tickMs);
	}

	async #run(begin: () => Generation, onChange: () => void): Promise<void> {
		const { turn } = this;
		const start = performance.now();
		const before = turn.before ?? 0;
		let text = "";
		let tokens = 0;
		try {
			const generation = begin();
			this.#generation = generation;
			// Read only after the iteration; where that throws first, this must not count as unhandled.
			generation.summary.catch(() => {});
			for await (const piece of generation) {
				text += piece.text;
				// What was there before the page was reloaded stands there already.
				if (++tokens <= before) continue;
				turn.lastTokenAt = performance.now();
				turn.firstTokenAt ??= turn.lastTokenAt;
				if (turn.before === undefined) turn.firstTokenMs ??= turn.lastTokenAt - start;
				turn.text = text;
				turn.tokens = tokens;
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
		this.#wait(undefined);
		onChange();
	}
}
