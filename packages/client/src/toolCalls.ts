import type { ToolDefinition, ToolForm, TurnOfChat } from "@tabmesh/model";
import { type Constraint, InvalidParameterError } from "@tabmesh/wire";
import type { CalledTool, ChatTurn, OfferedTool, ToolOffer } from "./tabmesh.ts";

/**
 * The form of calls that Hermes and Qwen were taught (their chat templates write the same words); models whose template knows no functions read it
 * in their instructions and are held to it.
 */
const ownForm: ToolForm = {
	before: "<tool_call>\n",
	behind: "\n</tool_call>",
	argumentsKey: "arguments",
	several: true,
};

/** How an answer may call functions: what the model is told, and what it is held to. */
export interface Calling {
	readonly turns: readonly TurnOfChat[];
	/** What the template tells of; where it does not, `turns` do. */
	readonly tools: readonly ToolDefinition[];
	readonly form: ToolForm;
	/** Undefined where no function may be called. */
	readonly constraint: Constraint | undefined;
}

/**
 * Words a chat with functions as the model knows them: through its own template, else in instructions of ours.
 *
 * @param own - the form of the model's template, where it has one
 * @throws InvalidParameterError where the arguments of an earlier call are no JSON
 */
export function callingOf(
	messages: readonly ChatTurn[],
	offer: ToolOffer | undefined,
	own: ToolForm | undefined,
): Calling {
	const form = own ?? ownForm;
	const constraint = offer && callConstraint(offer, form);
	if (!own) return { turns: inOwnWords(messages, offer), tools: [], form, constraint };
	const tools = (offer?.tools ?? []).map(definitionOf);
	return { turns: asTurns(messages), tools, form, constraint };
}

function definitionOf({ name, description, parameters }: OfferedTool): ToolDefinition {
	const described = description === undefined ? {} : { description };
	return { type: "function", function: { name, ...described, parameters } };
}

/** The chat as templates know it. */
function asTurns(messages: readonly ChatTurn[]): TurnOfChat[] {
	const names = new Map<string, string>();
	return messages.map((message) => {
		const { role, content } = message;
		if (role === "tool") {
			const { callId } = message;
			const name = callId === undefined ? undefined : names.get(callId);
			return {
				role,
				content,
				...(name === undefined ? {} : { name }),
				...(callId === undefined ? {} : { tool_call_id: callId }),
			};
		}
		if (!("calls" in message)) return { role, content };
		const calls = message.calls.map(({ id, name, arguments: given }) => {
			names.set(id, name);
			return { id, type: "function" as const, function: { name, arguments: parsed(given) } };
		});
		return { role, content, tool_calls: calls };
	});
}

function parsed(text: string): object {
	try {
		const value: unknown = JSON.parse(text);
		if (typeof value === "object" && value !== null) return value;
	} catch {
		// Said below.
	}
	throw new InvalidParameterError("The arguments of an earlier call are no JSON object.", {
		details: { param: "messages" },
	});
}

/** The chat for a template that knows no functions: what they are stands in the instructions, calls and results in texts. */
function inOwnWords(messages: readonly ChatTurn[], offer: ToolOffer | undefined): TurnOfChat[] {
	const turns: TurnOfChat[] = [];
	const results: string[] = [];
	for (const [i, message] of messages.entries()) {
		const { role, content } = message;
		if (role === "tool") {
			results.push(`<tool_response>\n${content}\n</tool_response>`);
			// What several functions gave is one turn.
			if (messages[i + 1]?.role !== "tool")
				turns.push({ role: "user", content: results.splice(0).join("\n") });
		} else if ("calls" in message) {
			const calls = message.calls.map(
				({ name, arguments: given }) =>
					`${ownForm.before}{"name": ${JSON.stringify(name)}, "arguments": ${given}}${ownForm.behind}`,
			);
			turns.push({ role, content: [content, ...calls].filter((text) => text !== "").join("\n") });
		} else {
			turns.push({ role, content });
		}
	}
	if (!offer) return turns;
	const [first] = turns;
	const told = described(offer.tools);
	if (first?.role === "system")
		return [{ ...first, content: `${first.content}\n\n${told}` }, ...turns.slice(1)];
	return [{ role: "system", content: told }, ...turns];
}

/** What a model is told about the functions, to stand behind whatever else its instructions are. */
function described(tools: readonly OfferedTool[]): string {
	const listed = tools.map((tool) => JSON.stringify({ type: "function", function: tool })).join("\n");
	return [
		"# Tools",
		"",
		"You may call one or more functions to assist with the user query.",
		"",
		"You are provided with function signatures within <tools></tools> XML tags:",
		"<tools>",
		listed,
		"</tools>",
		"",
		"For each function call, return a json object with function name and arguments within <tool_call></tool_call> XML tags:",
		`${ownForm.before}{"name": <function-name>, "arguments": <args-json-object>}${ownForm.behind}`,
	].join("\n");
}

/** Holds an answer to calls of these functions. */
function callConstraint({ tools, orText, several }: ToolOffer, form: ToolForm): Constraint {
	const { before, behind, argumentsKey } = form;
	const definitions: Record<string, unknown> = {};
	const calls = tools.map(({ name, parameters }, i) => {
		const own = `tool${i}`;
		const { $defs = {}, definitions: older = {}, ...schema } = parameters as Record<string, object>;
		definitions[own] = moved(schema, own);
		for (const [part, value] of Object.entries({ ...older, ...$defs })) {
			definitions[`${own}.${part}`] = moved(value, own);
		}
		return {
			type: "object",
			properties: { name: { const: name }, [argumentsKey]: { $ref: `#/$defs/${own}` } },
			required: ["name", argumentsKey],
			additionalProperties: false,
		};
	});
	const schema = JSON.stringify({ anyOf: calls, $defs: definitions });
	return { schema, before, behind, orText, several: several && form.several };
}

/** A schema whose references are to its own root, as a part of a larger one. */
function moved(value: unknown, own: string): unknown {
	if (Array.isArray(value)) return value.map((each) => moved(each, own));
	if (typeof value !== "object" || value === null) return value;
	return Object.fromEntries(
		Object.entries(value).map(([key, each]) => [
			key,
			key === "$ref" && typeof each === "string"
				? each.replace(/^#(?:\/(?:\$defs|definitions)\/(.*))?$/, (_, part) =>
						part === undefined ? `#/$defs/${own}` : `#/$defs/${own}.${part}`,
					)
				: moved(each, own),
		]),
	);
}

/** Tells calls from text in an answer that grows: the first letter decides. */
export class CallReader {
	readonly #form: ToolForm;
	#kind: "unknown" | "text" | "calls" = "unknown";
	#held = "";

	constructor(form: ToolForm) {
		this.#form = form;
	}

	/** Takes the next piece; gives what can be told of it. */
	push(piece: string): { readonly text: string; readonly calls: readonly CalledTool[] } {
		if (this.#kind === "text") return { text: piece, calls: [] };
		this.#held += piece;
		if (this.#kind === "unknown") {
			const start = this.#held.trimStart();
			if (start === "") return { text: "", calls: [] };
			this.#kind = start.startsWith(this.#form.before[0] ?? "{") ? "calls" : "text";
			if (this.#kind === "text") return { text: this.#held, calls: [] };
		}
		const calls: CalledTool[] = [];
		for (let call = this.#next(); call; call = this.#next()) calls.push(call);
		return { text: "", calls };
	}

	/** The next call, as soon as its JSON is whole. */
	#next(): CalledTool | undefined {
		const { before, argumentsKey } = this.#form;
		const tag = this.#held.indexOf(before);
		const start = this.#held.indexOf("{", tag + before.length);
		if (tag < 0 || start < 0) return undefined;
		const end = endOfObject(this.#held, start);
		if (end === undefined) return undefined;
		const call = JSON.parse(this.#held.slice(start, end)) as Record<string, unknown> & { name: string };
		this.#held = this.#held.slice(end);
		return {
			id: `call_${crypto.randomUUID().replaceAll("-", "")}`,
			name: call.name,
			arguments: JSON.stringify(call[argumentsKey]),
		};
	}
}

/** Where the JSON object that begins at `start` ends; undefined where it is not whole. */
function endOfObject(text: string, start: number): number | undefined {
	let depth = 0;
	let inString = false;
	for (let at = start; at < text.length; at++) {
		const character = text[at];
		if (inString) {
			if (character === "\\") at++;
			else if (character === '"') inString = false;
		} else if (character === '"') inString = true;
		else if (character === "{") depth++;
		else if (character === "}" && --depth === 0) return at + 1;
	}
	return undefined;
}
