import { InvalidParameterError, InvalidTensorError, type Sampling } from "@tabmesh/wire";
import { uniform } from "./uniform.ts";

// Probabilities are held as whole numbers of 2⁻³² of the likeliest token's. Sums of up to 2²⁰ of them (limits.vocabulary)
// stay below 2⁵³, so every sum is exact, in any order, on every JavaScript engine; what is less likely than half of 2⁻³²
// of the likeliest is never drawn.
const WEIGHT_ONE = 2 ** 32;
/** Below it, 2³²·eˣ rounds to 0. */
const LOWEST_EXPONENT = -23;

const POWERS_OF_HALF = Array.from({ length: 64 }, (_, k) => 2 ** -k);

/**
 * 2³²·eˣ as a whole number, for −23 ≤ x ≤ 0. JavaScript leaves the last bits of Math.exp to the engine, so this is
 * fdlibm's `e_exp.c` (Sun Microsystems, 1993) in the four basic operations, which IEEE 754 fixes to the bit.
 */
function weightOf(x: number): number {
	const k = (0.5 - Math.LOG2E * x) | 0;
	const high = x + k * 0.6931471803691238;
	const low = -k * 1.9082149292705877e-10;
	const r = high - low;
	const t = r * r;
	const c =
		r -
		t *
			(0.16666666666666602 +
				t *
					(-0.0027777777777015593 +
						t * (6.613756321437934e-5 + t * (-1.6533902205465252e-6 + t * 4.1381367970572385e-8))));
	const y = 1 - (low - (r * c) / (2 - c) - high);
	return Math.floor(y * POWERS_OF_HALF[k]! * WEIGHT_ONE + 0.5);
}

/** Tokens are sorted into buckets of likelihood first, so that only those of one bucket have to be compared one by one. */
const BUCKETS = 4096;
/** In place of a bucket: below the lowest exponent. */
const UNLIKELY = 0xffff;
const BUCKETS_PER_EXPONENT = BUCKETS / -LOWEST_EXPONENT;

/** What one call works in; kept between calls, because a vocabulary's worth of arrays per token keeps the collector busy. */
const scratch = {
	ids: new Int32Array(0),
	weights: new Float64Array(0),
	buckets: new Uint16Array(0),
	/** Numbers of tokens, or their weight, in each bucket; one more for the lowest exponent itself. */
	sums: new Float64Array(BUCKETS + 1),
};

function growScratch(length: number): void {
	if (scratch.ids.length >= length) return;
	scratch.ids = new Int32Array(length);
	scratch.weights = new Float64Array(length);
	scratch.buckets = new Uint16Array(length);
}

/** The least likely token that is kept: what is likelier is kept, too, and of equally likely tokens those with lower ids. */
interface Boundary {
	readonly value: number;
	readonly id: number;
}

const KEEP_ALL: Boundary = { value: Number.NEGATIVE_INFINITY, id: 0 };

function isKept(value: number, id: number, boundary: Boundary): boolean {
	return value > boundary.value || (value === boundary.value && id <= boundary.id);
}

/** The bucket in which the sums, added up from the likeliest on, reach `enough`, and what they are before it. */
function bucketReaching(enough: number): { bucket: number; before: number } | undefined {
	let before = 0;
	for (let bucket = 0; bucket <= BUCKETS; bucket++) {
		const sum = scratch.sums[bucket]!;
		if (before + sum >= enough) return { bucket, before };
		before += sum;
	}
	return undefined;
}

/** The boundary behind the k likeliest tokens. */
function boundaryOfCount(values: Float32Array, highest: number, temperature: number, k: number): Boundary {
	const { sums, buckets } = scratch;
	sums.fill(0);
	for (let i = 0; i < values.length; i++) {
		const exponent = (values[i]! - highest) / temperature;
		const bucket = exponent >= LOWEST_EXPONENT ? (-exponent * BUCKETS_PER_EXPONENT) | 0 : UNLIKELY;
		buckets[i] = bucket;
		if (bucket !== UNLIKELY) sums[bucket]!++;
	}
	const reached = bucketReaching(k);
	if (!reached) return KEEP_ALL;
	const ids: number[] = [];
	for (let i = 0; i < values.length; i++) if (buckets[i] === reached.bucket) ids.push(i);
	ids.sort((a, b) => values[b]! - values[a]! || a - b);
	const id = ids[k - reached.before - 1]!;
	return { value: values[id]!, id };
}

/** The boundary behind the fewest likeliest of the first `length` tokens in scratch that weigh `mass` together. */
function boundaryOfMass(values: Float32Array, length: number, mass: number): Boundary {
	const { ids, weights, buckets, sums } = scratch;
	sums.fill(0);
	for (let i = 0; i < length; i++) sums[buckets[i]!]! += weights[i]!;
	const reached = bucketReaching(mass);
	if (!reached) return KEEP_ALL;
	const places: number[] = [];
	for (let i = 0; i < length; i++) if (buckets[i] === reached.bucket) places.push(i);
	places.sort((a, b) => values[ids[b]!]! - values[ids[a]!]! || a - b);
	let sum = reached.before;
	let id = 0;
	for (const place of places) {
		sum += weights[place]!;
		id = ids[place]!;
		if (sum >= mass) break;
	}
	return { value: values[id]!, id };
}

/** Far below what any model says, and far above what a penalty would make infinite. */
const NEVER = -1e30;

/** Logits with those of other tokens out of reach. What is no number stays what it is. */
function held(logits: Float32Array, allowed: Uint8Array): Float32Array {
	if (!allowed.includes(1)) {
		throw new InvalidParameterError(
			"No token of this model goes on with the form that the answer is held to.",
		);
	}
	return logits.map((value, token) => (allowed[token] === 1 || value - value !== 0 ? value : NEVER));
}

function penalise(logits: Float32Array, history: ArrayLike<number>, penalty: number): Float32Array {
	const penalised = logits.slice();
	for (let i = 0; i < history.length; i++) {
		const token = history[i]!;
		const logit = logits[token];
		// Read from the original, so that a token seen twice is not penalised twice.
		if (logit !== undefined) penalised[token] = logit > 0 ? logit / penalty : logit * penalty;
	}
	return penalised;
}

/** Logits less the penalties of tokens that the answer has, plus the biases of single ones. */
function biased(
	logits: Float32Array,
	{ presencePenalty = 0, frequencyPenalty = 0, logitBias = [] }: Sampling,
	written: ArrayLike<number>,
): Float32Array {
	const penalises = (presencePenalty !== 0 || frequencyPenalty !== 0) && written.length > 0;
	if (!penalises && logitBias.length === 0) return logits;
	const values = logits.slice();
	const add = (token: number, bias: number): void => {
		const value = values[token];
		if (value !== undefined) values[token] = value + bias;
	};
	if (penalises) {
		const counts = new Map<number, number>();
		for (let i = 0; i < written.length; i++) counts.set(written[i]!, (counts.get(written[i]!) ?? 0) + 1);
		for (const [token, count] of counts) add(token, -(presencePenalty + count * frequencyPenalty));
	}
	for (const [token, bias] of logitBias) add(token, bias);
	return values;
}

/** What a token depends on besides the logits before it. */
export interface SoFar {
	/** Tokens that the repetition penalty counts as seen: of prompt and answer. */
	readonly history?: ArrayLike<number>;
	/** The answer, whose tokens the presence and frequency penalties count. */
	readonly written?: ArrayLike<number>;
	/** 1 for each token that may come; without it all may. */
	readonly allowed?: Uint8Array | undefined;
}

const NOTHING: readonly number[] = [];

/**
 * The token for `position`. A pure function: the same logits, settings, position and history give the same token in
 * every stage, engine and auditor.
 *
 * In this order: the tokens that are allowed, repetition penalty (CTRL, arXiv 1909.05858 §4.1), presence and frequency penalty and the
 * biases of single tokens (as OpenAI's API has them), temperature, top-k, top-p (nucleus, arXiv 1904.09751)
 * of what top-k left, min-p (arXiv 2407.01082); of what remains, in the order of the ids, the first token at which the
 * cumulative weight exceeds u = PRF(seed, position) of the whole. Among equally likely tokens the lowest id is the
 * likelier one, for greedy choice too; temperature 0 and top-k 1 are greedy.
 *
 * @param logits - one value per entry of the vocabulary; not changed
 * @param position - of the token to be chosen
 * @throws InvalidTensorError when a logit is NaN or infinite
 * @throws InvalidParameterError when there are no logits, or nothing is allowed
 */
export function sample(
	logits: Float32Array,
	sampling: Sampling,
	position: number,
	{ history = NOTHING, written = NOTHING, allowed }: SoFar = {},
): number {
	if (logits.length === 0) throw new InvalidParameterError("There are no logits to choose a token from.");
	const { temperature, topK, topP, minP, repetitionPenalty, seed } = sampling;
	const open = allowed ? held(logits, allowed) : logits;
	const repeated =
		repetitionPenalty === 1 || history.length === 0 ? open : penalise(open, history, repetitionPenalty);
	const values = biased(repeated, sampling, written);

	let best = 0;
	let highest = Number.NEGATIVE_INFINITY;
	for (let i = 0; i < values.length; i++) {
		const value = values[i]!;
		// Subtracting turns NaN and both infinities, and nothing else, into NaN.
		if (value - value !== 0) {
			throw new InvalidTensorError(`The logit of token ${i} is ${value}.`, { details: { token: i } });
		}
		if (value > highest) {
			highest = value;
			best = i;
		}
	}
	if (temperature === 0 || topK === 1) return best;

	growScratch(values.length);
	let boundary =
		topK > 0 && topK < values.length ? boundaryOfCount(values, highest, temperature, topK) : KEEP_ALL;
	// Multiplying the bound once is cheaper than dividing every logit; what passes it is looked at exactly.
	const lowest = Math.max(boundary.value, highest + LOWEST_EXPONENT * temperature * 1.000001);
	const { ids, weights, buckets } = scratch;
	let length = 0;
	let total = 0;
	for (let i = 0; i < values.length; i++) {
		const value = values[i]!;
		if (value < lowest || !isKept(value, i, boundary)) continue;
		const exponent = (value - highest) / temperature;
		if (exponent < LOWEST_EXPONENT) continue;
		const weight = weightOf(exponent);
		if (weight === 0) continue;
		ids[length] = i;
		weights[length] = weight;
		buckets[length] = (-exponent * BUCKETS_PER_EXPONENT) | 0;
		length++;
		total += weight;
	}
	if (topP < 1) boundary = boundaryOfMass(values, length, topP * total);

	const least = minP * WEIGHT_ONE;
	let whole = 0;
	let kept = 0;
	for (let i = 0; i < length; i++) {
		const id = ids[i]!;
		const weight = weights[i]!;
		if (weight < least || !isKept(values[id]!, id, boundary)) continue;
		ids[kept] = id;
		weights[kept++] = weight;
		whole += weight;
	}
	const target = uniform(seed, position) * whole;
	let sum = 0;
	for (let i = 0; i < kept; i++) {
		sum += weights[i]!;
		if (sum > target) return ids[i]!;
	}
	// Not reached: u is below 1 and the likeliest token is always kept.
	return best;
}

/** Sampling settings that always choose the likeliest token. */
export const greedy: Sampling = {
	temperature: 0,
	topK: 0,
	topP: 1,
	minP: 0,
	repetitionPenalty: 1,
	seed: 0,
};
