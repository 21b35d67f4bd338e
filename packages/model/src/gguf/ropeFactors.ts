interface Llama3Scaling {
	type: "llama3";
	factor: number;
	lowFrequencyFactor: number;
	highFrequencyFactor: number;
	originalContext: number;
}

/** How far a factor may be from what the parameters give: a few roundings to single precision. */
const tolerance = 1e-4;

/**
 * Finds the parameters of Llama 3's rope scaling in the factors that a GGUF stores instead of them (`rope_freqs.weight`).
 *
 * High frequencies keep the factor 1, low ones get the scaling factor itself, and between them 1/factor is a straight line in
 * the frequency. Scaling the original context and both band edges together changes nothing, so the low edge is put at 1.
 *
 * @param factors - what each pair's frequency is divided by
 * @returns `undefined` when no parameters give these factors
 * @see transformers, `_compute_llama3_parameters`; llama.cpp, `convert_hf_to_gguf.py`
 */
export function llama3Scaling(factors: Float32Array, theta: number): Llama3Scaling | "none" | undefined {
	const wave = (i: number): number => 2 * Math.PI * theta ** (i / factors.length);
	const factor = Math.max(...factors);
	if (factors.some((value) => !(value >= 1))) return undefined;
	if (factor === 1) return "none";
	const between = [...factors.keys()].filter((i) => factors[i]! > 1 && factors[i]! < factor);
	// smooth = (context / wave − low) / (high − low) is a line in 1 / wave.
	const smooth = (i: number): number => (1 / factors[i]! - 1 / factor) / (1 - 1 / factor);
	for (const band of bands(between, factors.indexOf(factor), smooth, wave)) {
		for (const [high, context] of [band.map(rounded) as [number, number], band]) {
			if (!(high > 1 && context > 0)) continue;
			const scaling: Llama3Scaling = {
				type: "llama3",
				factor,
				lowFrequencyFactor: 1,
				highFrequencyFactor: high,
				originalContext: context,
			};
			const fits = (value: number, i: number): boolean =>
				Math.abs(factorAt(scaling, wave(i)) - value) <= tolerance * value;
			if (factors.every(fits)) return scaling;
		}
	}
	return undefined;
}

/** Widths that are tried where the factors leave the band's open: Llama 3's own first. */
const usualWidths = [4, 3, 2, 1.5, 1.2, 1.1, 1.05, 1.01];

/** Where the band between high and low frequencies may lie. Two factors inside it say exactly where; with fewer there is a choice, and all give the same. */
function bands(
	between: readonly number[],
	firstLow: number,
	smooth: (i: number) => number,
	wave: (i: number) => number,
): [highFrequencyFactor: number, originalContext: number][] {
	const [first, last] = [between[0], between.at(-1)];
	if (first === undefined || last === undefined) {
		// Somewhere between the last high frequency and the first low one.
		const longest = wave(firstLow);
		const gap = Math.cbrt(longest / (firstLow > 0 ? wave(firstLow - 1) : longest / 8));
		return [[gap, longest / gap]];
	}
	if (first === last) {
		return usualWidths.map((width) => [width, wave(first) * (1 + smooth(first) * (width - 1))]);
	}
	const slope = (smooth(first) - smooth(last)) / (1 / wave(first) - 1 / wave(last));
	const start = slope / wave(first) - smooth(first);
	return [[1 + 1 / start, slope / start]];
}

/** What a frequency with this wave length is divided by. */
function factorAt(scaling: Llama3Scaling, wave: number): number {
	const { factor, lowFrequencyFactor: low, highFrequencyFactor: high, originalContext } = scaling;
	if (wave < originalContext / high) return 1;
	if (wave > originalContext / low) return factor;
	const smooth = (originalContext / wave - low) / (high - low);
	return 1 / ((1 - smooth) / factor + smooth);
}

/** Published parameters are whole numbers; what is far from one stays as it is. */
function rounded(value: number): number {
	const whole = Math.round(value);
	return Math.abs(value - whole) <= 1e-3 * whole ? whole : value;
}
