const MB = 1e6;
const GB = 1e9;

/** A handful of models of a handful of sizes; more than a browser ever gives is not offered. */
const offered = [100 * MB, 250 * MB, 500 * MB, 1 * GB, 2 * GB, 4 * GB, 8 * GB, 16 * GB, 32 * GB, 64 * GB];

/**
 * Budgets that a person may choose, in bytes, smallest first: round sizes up to what the browser gives, the present one among
 * them. A slider over them moves in steps of doubling, since nobody tells 1.9 from 2 GB.
 */
export function budgetChoices(presentBytes: number, quotaBytes: number | undefined): number[] {
	const most = quotaBytes ?? 8 * GB;
	const choices = offered.filter((bytes) => bytes <= most && !isAbout(bytes, presentBytes));
	return [...choices, presentBytes].sort((a, b) => a - b);
}

/** 2 GiB is what people read as 2.1 GB: a step so close beside it would be no choice. */
function isAbout(a: number, b: number): boolean {
	return Math.abs(a - b) < 0.15 * b;
}
