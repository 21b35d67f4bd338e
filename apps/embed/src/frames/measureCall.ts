import { MalformedMessageError, MessageTooLargeError } from "@tabmesh/wire";
import { callLength, callValues } from "../frameMessages.ts";

/**
 * Looks through what a page sent before anything else reads it: plain values only, and not too many of them. Ends at the limit, however
 * large the rest is.
 *
 * @throws MessageTooLargeError, MalformedMessageError for what is no JSON
 */
export function measureCall(params: unknown): void {
	let [length, values] = [0, 0];
	const open: unknown[] = [params];
	while (open.length > 0) {
		const value = open.pop();
		if (typeof value === "string") length += value.length;
		else if (Array.isArray(value)) {
			// Of a long one with nothing in it, too.
			length += value.length;
			if (length <= callLength) open.push(...value);
		} else if (isRecord(value)) {
			for (const key in value) {
				length += key.length;
				open.push(value[key]);
			}
		} else if (value !== null && !["number", "boolean", "undefined"].includes(typeof value)) {
			throw new MalformedMessageError("A question consists of what JSON can say.");
		}
		if (++values > callValues || length > callLength) {
			throw new MessageTooLargeError(
				`A question has ${callLength} characters at most, with all that belongs to it.`,
			);
		}
	}
}

function isRecord(value: unknown): value is Record<string, unknown> {
	return typeof value === "object" && value !== null && Object.getPrototypeOf(value) === Object.prototype;
}
