import type { Constraint } from "@tabmesh/wire";
import type { ChatMessage } from "../tabmesh.ts";
import type { ToolCall } from "./shapes.ts";

// The form of calls that Hermes and Qwen were taught (their chat templates write the same words); other models read it in the prompt and are
// held to it.
const BEFORE = "<tool_call>\n";
const BEHIND = "\n</tool_call>";

/** A function that a model may call. */
export interface OfferedTool {
	readonly name: string;
	readonly description?: string | undefined;
	/** A JSON Schema. Without one it takes nothing. */
	readonly parameters: object;
}

/** What a model is told about the functions, to stand behind whatever else its instructions are. */
export function describeTools(tools: readonly OfferedTool[]): string {
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
		`${BEFORE}{"name": <function-name>, "arguments": <args-json-object>}${BEHIND}`,
	].join("\n");
}

/** A turn in which the model called functions, as it wrote it. */
export function writtenCalls(calls: readonly { function: { name: string; arguments: string } }[]): string {
	return calls
		.map(({ function: called }) => {
			const { name } = called;
			return `${BEFORE}{"name": ${JSON.stringify(name)}, "arguments": ${called.arguments}}${BEHIND}`;
		})
		.join("\n");
}

/** What functions gave, as one turn. */
export function writtenResults(results: readonly string[]): ChatMessage {
	const content = results.map((result) => `<tool_response>\n${result}\n</tool_response>`).join("\n");
	return { role: "user", content };
}

/** Holds an answer to calls of these functions. */
export function callConstraint(
	tools: readonly OfferedTool[],
	{ orText, several }: { orText: boolean; several: boolean },
): Constraint {
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
			properties: { name: { const: name }, arguments: { $ref: `#/$defs/${own}` } },
			required: ["name", "arguments"],
			additionalProperties: false,
		};
	});
	const schema = JSON.stringify({ anyOf: calls, $defs: definitions });
	return { schema, before: BEFORE, behind: BEHIND, orText, several };
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
	#kind: "unknown" | "text" | "calls" = "unknown";
	#held = "";

	/** Takes the next piece; gives what can be told of it. */
	push(piece: string): { readonly text: string; readonly calls: ToolCall[] } {
		if (this.#kind === "text") return { text: piece, calls: [] };
		this.#held += piece;
		if (this.#kind === "unknown") {
			const start = this.#held.trimStart();
			if (start === "") return { text: "", calls: [] };
			this.#kind = start.startsWith(BEFORE[0]!) ? "calls" : "text";
			if (this.#kind === "text") {
				const text = this.#held;
				this.#held = "";
				return { text, calls: [] };
			}
		}
		const calls: ToolCall[] = [];
		// JSON is written on one line here, so that what ends a call cannot stand in it.
		for (let end = this.#held.indexOf(BEHIND); end >= 0; end = this.#held.indexOf(BEHIND)) {
			const json = this.#held.slice(this.#held.indexOf(BEFORE) + BEFORE.length, end);
			this.#held = this.#held.slice(end + BEHIND.length);
			const call = JSON.parse(json) as { name: string; arguments: unknown };
			calls.push({
				id: `call_${crypto.randomUUID().replaceAll("-", "")}`,
				type: "function",
				function: { name: call.name, arguments: JSON.stringify(call.arguments) },
			});
		}
		return { text: "", calls };
	}
}
