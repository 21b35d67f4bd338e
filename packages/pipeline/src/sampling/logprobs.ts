import { ProtocolViolationError, type TokenLogprob } from "@tabmesh/wire";

/** How far sums of probabilities that a stranger computed may be off: he adds them up in an order of his own. */
const TOLERANCE = 1e-3;

/**
 * How likely a token was, and which were likeliest: of the model's own distribution (softmax of the logits as they are), before
 * temperature, penalties, biases and the form of an answer, as OpenAI tells it.
 *
 * @param logits - finite
 * @param count - how many of the likeliest are told; of equally likely ones those with lower ids
 */
export function logprobsOf(logits: Float32Array, token: number, count: number): TokenLogprob {
	let highest = Number.NEGATIVE_INFINITY;
	for (const value of logits) if (value > highest) highest = value;
	let sum = 0;
	for (const value of logits) sum += Math.exp(value - highest);
	const whole = highest + Math.log(sum);
	const ids: number[] = [];
	for (let id = 0; id < logits.length && count > 0; id++) {
		const value = logits[id]!;
		if (ids.length === count && value <= logits[ids.at(-1)!]!) continue;
		let at = ids.length;
		while (at > 0 && value > logits[ids[at - 1]!]!) at--;
		ids.splice(at, 0, id);
		if (ids.length > count) ids.pop();
	}
	// The last bits of exp and log may put a certain token above certainty.
	const logprob = (id: number): number => Math.min(0, logits[id]! - whole);
	return { logprob: logprob(token), top: ids.map((id) => [id, logprob(id)]) };
}

/**
 * Checks what a last stage tells of its tokens, as far as it can be seen here.
 *
 * @param count - how many of the likeliest were asked for; undefined where none were
 * @throws ProtocolViolationError
 */
export function checkLogprobs(
	told: readonly TokenLogprob[] | undefined,
	tokens: readonly number[],
	count: number | undefined,
	vocabularySize: number,
): void {
	const fits =
		count === undefined
			? told === undefined
			: told?.length === tokens.length &&
				told.every((each, i) =>
					isPossible(each, tokens[i]!, Math.min(count, vocabularySize), vocabularySize),
				);
	if (!fits) throw new ProtocolViolationError("The last stage told probabilities that cannot be.");
}

function isPossible(
	{ logprob, top }: TokenLogprob,
	token: number,
	count: number,
	vocabularySize: number,
): boolean {
	if (top.length !== count) return false;
	if (top.some(([id, p], i) => id >= vocabularySize || p > (top[i - 1]?.[1] ?? 0))) return false;
	const others = new Map(top);
	if (others.size !== count) return false;
	const own = others.get(token);
	if (own === undefined ? logprob > (top.at(-1)?.[1] ?? 0) : own !== logprob) return false;
	others.set(token, logprob);
	return [...others.values()].reduce((sum, p) => sum + Math.exp(p), 0) <= 1 + TOLERANCE;
}
