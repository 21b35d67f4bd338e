/** How far one stage is, in positions. */
interface StagePositions {
	readonly received: number;
	readonly computed: number;
}

/** Who keeps a stream from going on. */
interface Culprit {
	/** Place on the route. */
	readonly place: number;
	/** Whether it may as well be the link from the stage before. */
	readonly link: boolean;
}

/**
 * Which stage does not do what is due, when all of them answer but no token comes: the first that has input and does not
 * compute it, or that does not get what the one before has computed. Where everything is computed, the last one keeps
 * the token to itself.
 *
 * @param due - positions that have to go through every stage before the next token
 */
export function whoStalls(stages: readonly StagePositions[], due: number): Culprit {
	let before = due;
	for (const [place, { received, computed }] of stages.entries()) {
		if (received < before) return { place, link: place > 0 };
		if (computed < received) return { place, link: false };
		before = computed;
	}
	return { place: stages.length - 1, link: false };
}
