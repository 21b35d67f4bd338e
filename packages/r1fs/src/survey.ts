import type { KeptParts, Survey, WholeDescription } from "./blockStore.ts";

/** A block, for counting. */
export interface SurveyedBlock {
	readonly key: string;
	readonly size: number;
	/** Milliseconds since 1970. */
	readonly usedAt: number;
	readonly from?: string | undefined;
	readonly wholes?: readonly string[];
}

/**
 * Counts blocks by what they are parts of, and by who gave them.
 *
 * @param ofFiles - keys of the blocks of files that are kept whole
 */
export function surveyOf(
	blocks: Iterable<SurveyedBlock>,
	ofFiles: ReadonlySet<string>,
	descriptions: ReadonlyMap<string, WholeDescription>,
): Survey {
	const parts = new Map<string, KeptParts>();
	let looseBytes = 0;
	for (const { key, size, usedAt, from, wholes = [] } of blocks) {
		if (wholes.length === 0 && !ofFiles.has(key)) looseBytes += size;
		for (const whole of wholes) {
			const one: KeptParts = {
				whole,
				about: descriptions.get(whole),
				storedBytes: size,
				blocks: 1,
				usedAt,
				from: from === undefined ? {} : { [from]: size },
			};
			const known = parts.get(whole);
			parts.set(whole, known ? sumOf(known, one) : one);
		}
	}
	return { parts: [...parts.values()], looseBytes };
}

/** What two stores keep, together. */
export function mergeSurveys(one: Survey, other: Survey): Survey {
	const parts = new Map(one.parts.map((each) => [each.whole, each]));
	for (const each of other.parts) {
		const known = parts.get(each.whole);
		parts.set(each.whole, known ? sumOf(known, each) : each);
	}
	return { parts: [...parts.values()], looseBytes: one.looseBytes + other.looseBytes };
}

function sumOf(one: KeptParts, other: KeptParts): KeptParts {
	const from: Record<string, number> = { ...one.from };
	for (const [source, bytes] of Object.entries(other.from)) from[source] = (from[source] ?? 0) + bytes;
	return {
		whole: one.whole,
		about: one.about ?? other.about,
		storedBytes: one.storedBytes + other.storedBytes,
		blocks: one.blocks + other.blocks,
		usedAt: Math.max(one.usedAt, other.usedAt),
		from,
	};
}
