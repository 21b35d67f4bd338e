import * as v from "valibot";
import { wireErrorSchema } from "../errors/remote.ts";
import { limits } from "../limits.ts";
import { numericsClassSchema } from "./announcement.ts";
import {
	bytesSchema,
	chainSchema,
	countSchema,
	peerIdSchema,
	positionSchema,
	streamIdSchema,
	tokenSchema,
} from "./common.ts";
import { sealedReceiptSchema } from "./receipt.ts";

/**
 * How the last stage picks a token. Sampling is a function: position p uses u = PRF(seed, p), so that any stage can be
 * re-run and a drafted token is accepted exactly when it equals the target's own sample.
 */
export const samplingSchema = v.strictObject({
	/** 0 is greedy. */
	temperature: v.pipe(v.number(), v.finite(), v.minValue(0), v.maxValue(10)),
	/** Keep the k most likely tokens; 0 keeps all. */
	topK: v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(limits.vocabulary)),
	/** Keep the smallest set of most likely tokens with this probability in all; 1 keeps all. */
	topP: v.pipe(v.number(), v.finite(), v.gtValue(0), v.maxValue(1)),
	/** Keep tokens at least this likely, relative to the likeliest; 0 keeps all. */
	minP: v.pipe(v.number(), v.finite(), v.minValue(0), v.maxValue(1)),
	/** Divides positive and multiplies negative logits of tokens seen before (CTRL, arXiv 1909.05858 §4.1); 1 changes nothing. */
	repetitionPenalty: v.pipe(v.number(), v.finite(), v.gtValue(0), v.maxValue(10)),
	/** Seed of the PRF, 32 bits. */
	seed: v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(0xffffffff)),
	/** Taken from the logits of tokens that the answer has, once for each of them; absent where it is 0, as the two below. */
	presencePenalty: v.exactOptional(v.pipe(v.number(), v.finite(), v.minValue(-2), v.maxValue(2))),
	/** The same, as often as the answer has the token. */
	frequencyPenalty: v.exactOptional(v.pipe(v.number(), v.finite(), v.minValue(-2), v.maxValue(2))),
	/** Added to the logits of single tokens. */
	logitBias: v.exactOptional(
		v.pipe(
			v.array(
				v.strictTuple([tokenSchema, v.pipe(v.number(), v.finite(), v.minValue(-100), v.maxValue(100))]),
			),
			v.maxLength(limits.biasedTokens),
		),
	),
});
export type Sampling = v.InferOutput<typeof samplingSchema>;

/** A form that an answer is held to, as the last stage picks its tokens. */
export const constraintSchema = v.strictObject({
	/** A JSON Schema, as text. */
	schema: v.pipe(v.string(), v.maxBytes(limits.schemaBytes)),
	/** What stands before and behind the JSON, such as the tags that a model writes around a call. */
	before: v.optional(v.pipe(v.string(), v.maxLength(limits.constraintTagLength))),
	behind: v.optional(v.pipe(v.string(), v.maxLength(limits.constraintTagLength))),
	/** Whether the answer may be any other text instead. */
	orText: v.optional(v.boolean()),
	/** Whether more of the same may follow, each on a line of its own. */
	several: v.optional(v.boolean()),
});
export type Constraint = v.InferOutput<typeof constraintSchema>;

const logprobSchema = v.pipe(v.number(), v.finite(), v.maxValue(0));

/** How likely the model held a token, and those that it held likeliest in its place, with their natural logarithms. */
export const tokenLogprobSchema = v.strictObject({
	logprob: logprobSchema,
	/** The likeliest first. */
	top: v.pipe(v.array(v.strictTuple([tokenSchema, logprobSchema])), v.maxLength(limits.topLogprobs)),
});
export type TokenLogprob = v.InferOutput<typeof tokenLogprobSchema>;

/** What was sampled in one lap: accepted drafts, and one token more. */
export const ringTokensSchema = v.pipe(v.array(tokenSchema), v.minLength(1), v.maxLength(limits.drafts + 1));

const tokensSchema = v.pipe(v.array(tokenSchema), v.maxLength(limits.controlTokens));

const sealedRouteSchema = v.pipe(
	v.instance(Uint8Array),
	v.check((bytes) => bytes.byteLength <= limits.routeBytes, "a short route"),
);

/** Links of the token chain behind the 16th position, the 32nd and so on, one behind the other. */
const linksSchema = v.pipe(
	v.instance(Uint8Array),
	v.check((bytes) => bytes.byteLength <= 8 * limits.prefixLinks, "few links"),
	v.check((bytes) => bytes.byteLength % 8 === 0, "whole links"),
);

/** How the last stage goes on from the tokens that the asker knows. */
const generationSchema = v.strictObject({
	sampling: samplingSchema,
	/** Most tokens to generate from here on. */
	maxTokens: v.pipe(countSchema, v.minValue(1), v.maxValue(limits.contextTokens)),
	/** Tokens after which the answer ends; the ending token itself is reported. */
	stopTokens: v.pipe(v.array(tokenSchema), v.maxLength(64)),
	/** The tokens so far, each once, where the repetition penalty needs them; only then does the last stage get to see them. */
	history: v.optional(tokensSchema),
	constraint: v.optional(constraintSchema),
	/** The answer so far, in order, where a constraint or a penalty needs it. */
	written: v.optional(tokensSchema),
	/** Of how many of the likeliest tokens the probabilities are told with each token and its own; without it of none. */
	logprobs: v.optional(v.pipe(countSchema, v.maxValue(limits.topLogprobs))),
});

/** What the asker sends to a stage on its control stream `/tabmesh/stage/1`. The first message is `open`. */
export const stageRequestSchema = v.variant("type", [
	v.strictObject({
		type: v.literal("open"),
		/** The encoded `route` envelope. */
		route: sealedRouteSchema,
		/** Most positions that the stream may take, prompt and answer together: what the stage reserves KV memory for. */
		maxPositions: v.pipe(positionSchema, v.minValue(1)),
		/**
		 * Where the stream goes on after a failover or a reload of the asker: a stage that serves it already forgets every
		 * position from here on, and all say `ready` as soon as they can compute. Absent when a stream begins.
		 */
		keep: v.optional(positionSchema),
		/**
		 * Of the prompt without its last token: a stage that has kept a stream of the same asker which begins alike goes on from
		 * there, and says so in `ready`. Absent when a stream goes on.
		 */
		links: v.optional(linksSchema),
		/** For the last stage only. */
		generation: v.optional(generationSchema),
		/**
		 * For the last stage only, in place of `generation`: nothing is generated. It takes the mean of the final hidden states from this
		 * position of the prompt on, and tells it in `embedding`. Such a stream begins with nothing that was kept, and ends where a stage is lost.
		 */
		embed: v.optional(v.strictObject({ from: positionSchema })),
		/** Of an asker who asks for several people: what is kept of one's streams begins no other's. */
		apart: v.optional(bytesSchema(16)),
		/** For the first stage only: whether it may draft tokens, to be verified several in one lap. */
		speculation: v.optional(v.boolean()),
	}),
	/** A newer route of the stream for a stage that stays on it: its links are made anew. */
	v.strictObject({
		type: v.literal("reroute"),
		route: sealedRouteSchema,
		/** As in `open`. */
		keep: positionSchema,
		/** For the last stage only. */
		generation: v.optional(generationSchema),
	}),
	/** A piece of the prompt, to the first stage only, in order. `last` marks its end. */
	v.strictObject({
		type: v.literal("prompt"),
		position: positionSchema,
		tokens: v.pipe(tokensSchema, v.minLength(1)),
		last: v.boolean(),
	}),
	/** Asks for a sign of life; answered by `pong` at once. */
	v.strictObject({ type: v.literal("ping"), nonce: countSchema }),
	/** A receipt that the stage sent, in the asker's own envelope: the asker owns up to the work. */
	v.strictObject({ type: v.literal("countersigned"), receipt: sealedReceiptSchema }),
	/** Ends the stream in order: everything that it holds is freed. */
	v.strictObject({
		type: v.literal("close"),
		/** Of all tokens but the last: what a stage has of them it may keep for a while, for streams that begin alike. */
		links: v.optional(linksSchema),
	}),
]);
export type StageRequest = v.InferOutput<typeof stageRequestSchema>;

/** Why an answer ended. */
export const finishReasonSchema = v.picklist(["stop", "length"]);
export type FinishReason = v.InferOutput<typeof finishReasonSchema>;

/** What a stage sends to the asker on the same stream. */
export const stageResponseSchema = v.variant("type", [
	/** The stage is fetching or compiling its span first. */
	v.strictObject({ type: v.literal("preparing"), loadedBytes: countSchema, totalBytes: countSchema }),
	/**
	 * KV memory is reserved, and on the first route of a stream the link to the next stage stands. What follows belongs to
	 * this generation of the route.
	 */
	v.strictObject({
		type: v.literal("ready"),
		numericsClass: numericsClassSchema,
		generation: countSchema,
		/** Positions that the stage has: the first stage is sent the tokens from here on. */
		position: positionSchema,
	}),
	/**
	 * The link to a neighbour broke, or brought what no honest stage sends. The stage keeps what it has and waits for a newer
	 * route.
	 */
	v.strictObject({
		type: v.literal("broken"),
		generation: countSchema,
		/** The neighbour. */
		peer: peerIdSchema,
		error: wireErrorSchema,
	}),
	/** The stage serves on, but goes in a moment: the asker does well to put a spare in its place. */
	v.strictObject({ type: v.literal("leaving") }),
	/** From the last stage, once a lap: the tokens sampled from `position` on, and the chain after the last of them. */
	v.strictObject({
		type: v.literal("tokens"),
		position: positionSchema,
		tokens: ringTokensSchema,
		chain: chainSchema,
		/** How many tokens of this lap had been drafted, whether accepted or not. */
		drafted: v.pipe(countSchema, v.maxValue(limits.drafts)),
		finish: v.optional(finishReasonSchema),
		/** One for each token, where they were asked for. */
		logprobs: v.optional(v.pipe(v.array(tokenLogprobSchema), v.maxLength(limits.drafts + 1))),
	}),
	/** From the last stage, once, where it was asked for: the mean of the final hidden states, in float32, and the chain after the last of them. */
	v.strictObject({
		type: v.literal("embedding"),
		position: positionSchema,
		chain: chainSchema,
		mean: v.pipe(
			v.instance(Uint8Array),
			v.check((bytes) => bytes.byteLength % 4 === 0 && bytes.byteLength <= limits.embeddingBytes, "numbers"),
		),
	}),
	/** From every stage, now and then and at the end: how far it is, drafts left out, by its own chain, and its median time per decode step. */
	v.strictObject({
		type: v.literal("progress"),
		position: positionSchema,
		chain: chainSchema,
		msPerToken: v.pipe(v.number(), v.finite(), v.minValue(0)),
	}),
	/** What the stage did for the stream so far, in its envelope. It stops where nobody countersigns. */
	v.strictObject({ type: v.literal("receipt"), receipt: sealedReceiptSchema }),
	/** Answers a `ping`: positions that came in, and those computed, so that a stage that stalls can be told from its neighbours. */
	v.strictObject({
		type: v.literal("pong"),
		nonce: countSchema,
		received: positionSchema,
		computed: positionSchema,
	}),
	/** The stage gives the stream up; nothing follows. */
	v.strictObject({ type: v.literal("error"), error: wireErrorSchema }),
]);
export type StageResponse = v.InferOutput<typeof stageResponseSchema>;

/** First message of a stage to its successor on a ring stream `/tabmesh/ring/1`; answered by {@link ringAcceptSchema} once accepted. */
export const ringOpenSchema = v.strictObject({
	stream: streamIdSchema,
	generation: countSchema,
	/**
	 * From the asker of a private stream to the last stage before him: he is its successor, and frames for him come back on this
	 * stream, from this position on. Nothing answers it.
	 */
	position: v.optional(positionSchema),
});
export type RingOpen = v.InferOutput<typeof ringOpenSchema>;

/** The successor takes the link, and has so many positions: frames begin there. */
export const ringAcceptSchema = v.strictObject({ position: positionSchema });
export type RingAccept = v.InferOutput<typeof ringAcceptSchema>;
