import * as v from "valibot";
import { TabmeshError } from "./base.ts";
import * as known from "./index.ts";

/** How an error crosses the wire: its stable code, one sentence, and small details. Stacks and causes stay at home. */
export const wireErrorSchema = v.strictObject({
	code: v.pipe(v.string(), v.maxLength(64)),
	message: v.pipe(v.string(), v.maxLength(512)),
	details: v.pipe(
		v.record(
			v.pipe(v.string(), v.maxLength(64)),
			v.union([v.pipe(v.string(), v.maxLength(256)), v.number(), v.boolean(), v.null()]),
		),
		v.check((details) => Object.keys(details).length <= 16, "too many details"),
	),
});
export type WireError = v.InferOutput<typeof wireErrorSchema>;

type TabmeshErrorClass = new (
	shortMessage: string,
	options?: { details?: Record<string, string | number | boolean | null> },
) => TabmeshError;

const classesByCode = new Map<string, TabmeshErrorClass>();
for (const candidate of Object.values(known)) {
	if (candidate !== TabmeshError) classesByCode.set(new candidate("").code, candidate);
}

/** What of an error may leave this device. Unknown errors are reduced to their kind, so that no path or secret leaks. */
export function toWireError(error: unknown): WireError {
	if (error instanceof TabmeshError) {
		return { code: error.code, message: error.shortMessage.slice(0, 512), details: { ...error.details } };
	}
	if (error instanceof Error && error.name === "AbortError")
		return { code: "Aborted", message: "The work was cancelled.", details: {} };
	return { code: "Internal", message: "The peer met an internal error.", details: {} };
}

/** The typed error for what a peer reported. An unknown code becomes a plain {@link TabmeshError}. */
export function fromWireError(wire: WireError): TabmeshError {
	const ErrorClass = classesByCode.get(wire.code) ?? TabmeshError;
	return new ErrorClass(wire.message, { details: wire.details });
}
