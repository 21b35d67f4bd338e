import type { ResumableStream } from "@tabmesh/pipeline";
import {
	cidSchema,
	constraintSchema,
	countSchema,
	hopSchema,
	InvalidParameterError,
	limits,
	peerIdSchema,
	samplingSchema,
	tokenSchema,
} from "@tabmesh/wire";
import * as v from "valibot";

const tokensSchema = v.pipe(v.array(tokenSchema), v.maxLength(limits.contextTokens));

/** JSON, because it lies in a page's own storage between two loads of the page. */
const leftAnswerSchema = v.strictObject({
	/** Who asked: stages keep a stream for that peer only. */
	peer: peerIdSchema,
	model: cidSchema,
	promptTokens: v.pipe(tokensSchema, v.minLength(1)),
	sampling: samplingSchema,
	maxTokens: countSchema,
	stop: v.array(v.string()),
	constraint: v.optional(constraintSchema),
	private: v.exactOptional(v.boolean()),
	stream: v.strictObject({
		stream: v.pipe(v.string(), v.regex(/^[0-9a-f]{32}$/)),
		generation: countSchema,
		hops: v.pipe(v.array(hopSchema), v.minLength(1), v.maxLength(limits.routeHops)),
		tokens: tokensSchema,
		key: v.exactOptional(v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/))),
	}),
});

/** An answer that was left in the middle: what was asked, and the stream that its stages keep for a minute. */
export type LeftAnswer = Omit<v.InferOutput<typeof leftAnswerSchema>, "stream"> & {
	readonly stream: ResumableStream;
};

/** @throws InvalidParameterError where `text` is not what an answer was left with */
export function readLeftAnswer(text: string): LeftAnswer {
	let value: unknown;
	try {
		value = JSON.parse(text);
	} catch {
		value = undefined;
	}
	const parsed = v.safeParse(leftAnswerSchema, value);
	if (parsed.success) return parsed.output;
	throw new InvalidParameterError("This is no answer that was left to be gone on with.", {
		metaMessages: ["Pass what `detach()` gave, as it is.", "Or ask again."],
	});
}
