import { Environment, Interpreter, parse, Template, tokenize } from "@huggingface/jinja";
import { TokenizerError } from "@tabmesh/wire";

interface Scope {
	set(name: string, value: unknown): unknown;
}
interface Statement {
	readonly type: string;
	/** Of a `For`: what it goes over; where it picks (`for x in list if …`), the list is `lhs`. */
	readonly iterable?: Statement;
	readonly lhs?: Statement;
}
interface Value {
	readonly value: unknown;
}
interface Evaluator {
	run(program: unknown): Value;
	evaluate(statement: Statement | undefined, scope: Scope): Value;
}
/** The library's own declarations import each other without file extensions, so TypeScript takes what they export for `any`. */
const UnboundedInterpreter: new (scope: Scope) => Evaluator = Interpreter;
const GlobalScope: new () => Scope = Environment;

/** A template of 20 KB takes some hundred steps for a message; this many take about a second. */
const maxSteps = 2_000_000;
/** A turn of a loop takes its time even if nothing is done in it: it has variables of its own. */
const stepsPerTurn = 4;
/** Characters or elements of one value; the longest context has some 600,000 characters. */
const maxLength = 4_000_000;
/** Characters or elements that count as one step: they are copied much faster than anything is evaluated. */
const elementsPerStep = 64;

/**
 * A model's chat template, in Jinja. It came with a model of a stranger, so it runs for so many steps, over texts of such a length, and
 * no further: a loop without end would hold up the page of whoever asks.
 */
export class ChatTemplate {
	readonly #program: unknown;

	/** @throws SyntaxError, Error when the template cannot be parsed */
	constructor(source: string) {
		// As transformers sets Jinja up.
		this.#program = parse(tokenize(source, { lstrip_blocks: true, trim_blocks: true }));
	}

	/** @throws TokenizerError when it does not come to an end, and whatever the template raises */
	render(variables: Readonly<Record<string, unknown>>): string {
		const scope = new GlobalScope();
		for (const [name, value] of Object.entries({ ...globals, ...variables })) scope.set(name, value);
		return String(new BoundedInterpreter(scope).run(this.#program).value);
	}
}

/** A function that a model may call, as templates know it. */
export interface ToolDefinition {
	readonly type: "function";
	readonly function: { readonly name: string; readonly description?: string; readonly parameters: object };
}

/** One turn of a chat, as templates know it: with calls of functions, or with what one of them gave. */
export interface TurnOfChat {
	readonly role: string;
	readonly content: string;
	readonly tool_calls?: readonly {
		readonly id?: string;
		readonly type: "function";
		/** `arguments` is an object, and no text of one. */
		readonly function: { readonly name: string; readonly arguments: object };
	}[];
	readonly name?: string;
	readonly tool_call_id?: string;
}

/** What transformers puts into every template's reach. */
const globals = {
	true: true,
	false: false,
	none: null,
	True: true,
	False: false,
	None: null,
	range,
	raise_exception(message: string): never {
		throw new Error(message);
	},
	strftime_now: (format: string) => new Template("{{ strftime_now(format) }}").render({ format }),
};

/** Python's `range`, no longer than a value may be. */
function range(first: number, end?: number, step = 1): number[] {
	const [from, to] = end === undefined ? [0, first] : [first, end];
	const count = Math.max(0, Math.ceil((to - from) / step));
	if (!(count <= maxLength)) throw endless();
	return Array.from({ length: count }, (_, i) => from + i * step);
}

class BoundedInterpreter extends UnboundedInterpreter {
	#steps = 0;
	/** What loops go over. */
	readonly #iterables = new WeakSet<object>();

	override evaluate(statement: Statement | undefined, scope: Scope): Value {
		this.#count(1);
		if (statement?.type === "For") {
			const { iterable } = statement;
			const list = iterable?.type === "SelectExpression" ? iterable.lhs : iterable;
			if (list) this.#iterables.add(list);
		}
		const result = super.evaluate(statement, scope);
		const { value } = result;
		const length = typeof value === "string" || Array.isArray(value) ? value.length : 0;
		if (length > maxLength) throw endless();
		this.#count(
			statement && this.#iterables.has(statement) ? length * stepsPerTurn : length / elementsPerStep,
		);
		return result;
	}

	#count(steps: number): void {
		this.#steps += steps;
		if (this.#steps > maxSteps) throw endless();
	}
}

function endless(): TokenizerError {
	return new TokenizerError("The model's chat template does not come to an end.", {
		metaMessages: ["The model is broken, or made to do harm: choose another."],
	});
}
