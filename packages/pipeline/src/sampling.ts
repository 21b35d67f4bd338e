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

/** What one call works in; kept between calls, because a vocabulary's worth of arrays per token keeps the collector busy. */
const scratch = {
	ids: new Int32Array(0),
	weights: new Float64Array(0),
	rankedIds: new Int32Array(0),
	rankedWeights: new Float64Array(0),
};

function growScratch(length: number): void {
	if (scratch.ids.length >= length) return;
	scratch.ids = new Int32Array(length);
	scratch.weights = new Float64Array(length);
	scratch.rankedIds = new Int32Array(length);
	scratch.rankedWeights = new Float64Array(length);
}

function swap(i: number, j: number): void {
	const { rankedIds: ids, rankedWeights: weights } = scratch;
	const id = ids[i]!;
	const weight = weights[i]!;
	ids[i] = ids[j]!;
	weights[i] = weights[j]!;
	ids[j] = id;
	weights[j] = weight;
}

/** Whether the token at rank slot `i` is likelier than the one at `j`; of equally likely ones the lower id counts as likelier. */
function likelier(i: number, j: number): boolean {
	const { rankedIds: ids, rankedWeights: weights } = scratch;
	const a = weights[i]!;
	const b = weights[j]!;
	return a > b || (a === b && ids[i]! < ids[j]!);
}

/**
 * Quickselect (Hoare, 1961): moves the fewest likeliest of the first `length` tokens to the front whose number reaches
 * `count` or whose weight reaches `mass`, whichever comes first, and returns how many they are.
 */
function selectLikeliest(length: number, count: number, mass: number): number {
	const { rankedWeights: weights } = scratch;
	let from = 0;
	let to = length;
	let massBefore = 0;
	while (from < to) {
		const middle = (from + to) >>> 1;
		const last = to - 1;
		// The median of three as pivot, moved to the end.
		if (likelier(middle, from)) swap(middle, from);
		if (likelier(last, from)) swap(last, from);
		if (likelier(middle, last)) swap(middle, last);
		let split = from;
		let massOfLikelier = 0;
		for (let i = from; i < last; i++) {
			if (likelier(i, last)) {
				massOfLikelier += weights[i]!;
				swap(i, split++);
			}
		}
		swap(split, last);
		const massThroughSplit = massBefore + massOfLikelier + weights[split]!;
		if (split >= count || massBefore + massOfLikelier >= mass) {
			to = split;
		} else if (split + 1 >= count || massThroughSplit >= mass) {
			return split + 1;
		} else {
			from = split + 1;
			massBefore = massThroughSplit;
		}
	}
	return from;
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

/**
 * The token for `position`. A pure function: the same logits, settings, position and history give the same token in
 * every stage, engine and auditor.
 *
 * In this order: repetition penalty (CTRL, arXiv 1909.05858 §4.1), temperature, top-k, top-p (nucleus, arXiv 1904.09751)
 * of what top-k left, min-p (arXiv 2407.01082); of what remains, in the order of the ids, the first token at which the
 * cumulative weight exceeds u = PRF(seed, position) of the whole. Among equally likely tokens the lowest id is the
 * likelier one, for greedy choice too; temperature 0 and top-k 1 are greedy.
 *
 * @param logits - one value per entry of the vocabulary; not changed
 * @param position - of the token to be chosen
 * @param history - tokens that the repetition penalty counts as seen
 * @throws InvalidTensorError when a logit is NaN or infinite
 * @throws InvalidParameterError when there are no logits
 */
export function sample(
	logits: Float32Array,
	sampling: Sampling,
	position: number,
	history: ArrayLike<number> = [],
): number {
	if (logits.length === 0) throw new InvalidParameterError("There are no logits to choose a token from.");
	const { temperature, topK, topP, minP, repetitionPenalty, seed } = sampling;
	const values =
		repetitionPenalty === 1 || history.length === 0 ? logits : penalise(logits, history, repetitionPenalty);

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
	const { ids, weights, rankedIds, rankedWeights } = scratch;
	let length = 0;
	let total = 0;
	// Multiplying the bound is cheaper than dividing every logit; the exponent itself decides once more.
	const lowest = highest + LOWEST_EXPONENT * temperature * 1.000001;
	const least = minP * WEIGHT_ONE;
	for (let i = 0; i < values.length; i++) {
		const value = values[i]!;
		if (value < lowest) continue;
		const exponent = (value - highest) / temperature;
		if (exponent < LOWEST_EXPONENT) continue;
		const weight = weightOf(exponent);
		if (weight === 0) continue;
		ids[length] = i;
		weights[length] = weight;
		length++;
		total += weight;
	}

	let boundaryWeight = 0;
	let boundaryId = values.length;
	if ((topK > 0 && topK < length) || topP < 1) {
		rankedIds.set(ids.subarray(0, length));
		rankedWeights.set(weights.subarray(0, length));
		let kept = length;
		if (topK > 0 && topK < kept) {
			kept = selectLikeliest(kept, topK, Number.POSITIVE_INFINITY);
			total = 0;
			for (let i = 0; i < kept; i++) total += rankedWeights[i]!;
		}
		if (topP < 1) kept = selectLikeliest(kept, kept, topP * total);
		boundaryWeight = Number.POSITIVE_INFINITY;
		for (let i = 0; i < kept; i++) {
			const weight = rankedWeights[i]!;
			const id = rankedIds[i]!;
			if (weight < boundaryWeight || (weight === boundaryWeight && id > boundaryId)) {
				boundaryWeight = weight;
				boundaryId = id;
			}
		}
	}

	const isKept = (i: number): boolean => {
		const weight = weights[i]!;
		return (
			weight >= least && (weight > boundaryWeight || (weight === boundaryWeight && ids[i]! <= boundaryId))
		);
	};
	let whole = 0;
	for (let i = 0; i < length; i++) if (isKept(i)) whole += weights[i]!;
	const target = uniform(seed, position) * whole;
	let sum = 0;
	for (let i = 0; i < length; i++) {
		if (!isKept(i)) continue;
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
