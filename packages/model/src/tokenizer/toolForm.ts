import { limits } from "@tabmesh/wire";
import type { ToolDefinition, TurnOfChat } from "./chatTemplate.ts";

/** How a model writes that it calls a function: `before`, JSON with `name` and the arguments, `behind`. */
export interface ToolForm {
	readonly before: string;
	readonly behind: string;
	/** What the arguments are called. */
	readonly argumentsKey: "arguments" | "parameters";
	/** Whether more calls may follow in one answer, each on a line of its own. */
	readonly several: boolean;
}

// Words that no template has by itself.
const QUESTION = "probe-question";
const RESULT = "probe-result";
const tool: ToolDefinition = {
	type: "function",
	function: {
		name: "probe_function",
		description: "probe-description",
		parameters: { type: "object", properties: { probe: { type: "string" } }, required: ["probe"] },
	},
};
const call = {
	id: "probe00000",
	type: "function",
	function: { name: "probe_function", arguments: { probe: "value" } },
} as const;
const user: TurnOfChat = { role: "user", content: QUESTION };
const result: TurnOfChat = {
	role: "tool",
	content: RESULT,
	name: "probe_function",
	tool_call_id: "probe00000",
};
const written = /\{"name": ?"probe_function", ?"(arguments|parameters)": ?\{"probe": ?"value"\}\}/;

/**
 * How a model's chat template has functions called, found by letting it write a conversation in which one is: undefined where the template does
 * not tell of functions, does not take what they give, or writes calls with special tokens or otherwise than one JSON object each, to which no
 * answer can be held here.
 *
 * @param render - the template, with and without the beginning of an answer
 * @param special - names of the special tokens
 */
export function toolFormOf(
	render: (turns: readonly TurnOfChat[], tools: readonly ToolDefinition[], begins: boolean) => string,
	special: readonly string[],
): ToolForm | undefined {
	const calling = (count: number): TurnOfChat => {
		return { role: "assistant", content: "", tool_calls: Array.from({ length: count }, () => call) };
	};
	try {
		const asked = render([user], [tool], true);
		const answered = render([user, calling(1)], [tool], false);
		const told = render([user, calling(1), result], [tool], true);
		if (!asked.includes("probe_function") || !told.includes(RESULT)) return undefined;
		if (!answered.startsWith(asked) || !told.startsWith(asked)) return undefined;
		const answer = answered.slice(asked.length);
		const json = written.exec(answer);
		if (!json) return undefined;
		const before = answer.slice(0, json.index);
		// A turn that ends without a special token ends with its line.
		const end = asked.length + json.index + json[0].length;
		const behind = upToSpecial(shared(answered.slice(end), told.slice(end)), special).trimEnd();
		if (Math.max(before.length, behind.length) > limits.constraintTagLength) return undefined;
		// A tag that begins with a space could not be told from a text.
		if (upToSpecial(before, special) !== before || /^\s/.test(before)) return undefined;
		const argumentsKey = json[1] as ToolForm["argumentsKey"];
		const one = `${before}${json[0]}${behind}`;
		const several = (): boolean => {
			try {
				return render([user, calling(2)], [tool], false)
					.slice(asked.length)
					.startsWith(`${one}\n${one}`);
			} catch {
				// Templates of models that call one function at a time say so.
				return false;
			}
		};
		return { before, behind, argumentsKey, several: several() };
	} catch {
		return undefined;
	}
}

/** What both begin with. */
function shared(a: string, b: string): string {
	let length = 0;
	while (length < a.length && a[length] === b[length]) length++;
	return a.slice(0, length);
}

function upToSpecial(text: string, special: readonly string[]): string {
	const places = special.map((name) => text.indexOf(name)).filter((place) => place >= 0);
	return text.slice(0, Math.min(text.length, ...places));
}
