import {
	type Constraint,
	constraintSchema,
	EmptyPromptError,
	InvalidParameterError,
	limits,
	PromptTooLongError,
	type Sampling,
	samplingSchema,
} from "@tabmesh/wire";
import * as v from "valibot";
import { greedy } from "../sampling/sampling.ts";
import type { AskInit } from "./generate.ts";

const DEFAULT_MAX_TOKENS = 256;

/** What is asked for, checked and complete. */
export interface CheckedRequest {
	readonly promptTokens: readonly number[];
	readonly sampling: Sampling;
	readonly maxTokens: number;
	readonly stopTokens: readonly number[];
	readonly maxPositions: number;
	readonly constraint: Constraint | undefined;
	/** Of how many of the likeliest tokens probabilities are told; undefined for none at all. */
	readonly logprobs: number | undefined;
	/** The first position whose state counts in a mean, where nothing is generated. */
	readonly embedFrom: number | undefined;
}

/** @throws EmptyPromptError, PromptTooLongError, InvalidParameterError */
export function checked(init: AskInit): CheckedRequest {
	const { promptTokens, model, maxTokens = DEFAULT_MAX_TOKENS, logprobs, embedFrom } = init;
	const { contextLength, vocabularySize } = model.manifest.config;
	const { eos } = model.manifest.tokenizer;
	if (promptTokens.length === 0)
		throw new EmptyPromptError("There is nothing to continue: the prompt is empty.");
	// One position is the answer's.
	const longest = embedFrom === undefined ? contextLength - 1 : contextLength;
	if (promptTokens.length > longest) {
		throw new PromptTooLongError(
			`The prompt has ${promptTokens.length} tokens; the model takes at most ${longest}.`,
			{
				metaMessages: [`Shorten it by ${promptTokens.length - longest} tokens.`],
				details: { promptTokens: promptTokens.length, maxPromptTokens: longest, contextLength },
			},
		);
	}
	const stopTokens = init.stopTokens ?? eos;
	for (const token of [...promptTokens, ...stopTokens]) checkToken(token, vocabularySize);
	if (!Number.isInteger(maxTokens) || maxTokens < 1) {
		throw new InvalidParameterError(`maxTokens must be a whole number from 1 on, not ${maxTokens}.`);
	}
	if (stopTokens.length > 64) throw new InvalidParameterError("There can be at most 64 stop tokens.");
	const sampling = v.safeParse(samplingSchema, { ...greedy, ...init.sampling });
	if (!sampling.success) {
		const [issue] = sampling.issues;
		throw new InvalidParameterError(
			`The sampling option ${v.getDotPath(issue) ?? ""} is out of range: ${issue.message}`,
		);
	}
	const { output } = sampling;
	for (const [token] of output.logitBias ?? []) checkToken(token, vocabularySize);
	if (
		logprobs !== undefined &&
		!(Number.isInteger(logprobs) && logprobs >= 0 && logprobs <= limits.topLogprobs)
	) {
		throw new InvalidParameterError(
			`Of 0 to ${limits.topLogprobs} of the likeliest tokens probabilities are told.`,
		);
	}
	const { constraint } = init;
	if (constraint) {
		const checked = v.safeParse(constraintSchema, constraint);
		if (!checked.success) {
			const most = limits.schemaBytes / 1024;
			throw new InvalidParameterError(`A form that an answer is held to has at most ${most} KiB.`);
		}
		if (stopTokens.length === 0) {
			throw new InvalidParameterError("An answer that is held to a form needs a token that ends it.");
		}
	}
	const fitting = Math.min(
		maxTokens,
		contextLength - promptTokens.length,
		// All of it goes to a spare of the last stage.
		constraint || countsWritten(output) ? limits.controlTokens : Number.POSITIVE_INFINITY,
	);
	return {
		promptTokens,
		sampling: withoutZeros(output),
		maxTokens: fitting,
		stopTokens,
		maxPositions: promptTokens.length + (embedFrom === undefined ? fitting : 0),
		constraint,
		logprobs,
		embedFrom,
	};
}

/** Whether a token depends on how often others stand in the answer. */
export function countsWritten({ presencePenalty = 0, frequencyPenalty = 0 }: Sampling): boolean {
	return presencePenalty !== 0 || frequencyPenalty !== 0;
}

/** What asks for nothing is left out: not every stage knows the word. */
function withoutZeros({ presencePenalty, frequencyPenalty, logitBias, ...sampling }: Sampling): Sampling {
	return {
		...sampling,
		...(presencePenalty ? { presencePenalty } : {}),
		...(frequencyPenalty ? { frequencyPenalty } : {}),
		...(logitBias && logitBias.length > 0 ? { logitBias } : {}),
	};
}

function checkToken(token: number, vocabularySize: number): void {
	if (Number.isInteger(token) && token >= 0 && token < vocabularySize) return;
	throw new InvalidParameterError(
		`${token} is no token of this model: its vocabulary has ${vocabularySize}.`,
		{ details: { vocabularySize } },
	);
}
