/** Far more than a relay says of itself: what is longer is no answer of one. */
const longestText = 1024 * 1024;

/**
 * Sums of all samples of each metric in Prometheus' text format 0.0.4: `name{labels} value` a line, `#` before comments. Labels only tell
 * apart what this page adds up; what is no such line is left out.
 */
export function readMetrics(text: string): ReadonlyMap<string, number> {
	const sums = new Map<string, number>();
	for (const line of text.slice(0, longestText).split("\n")) {
		const [, name, value] = /^([A-Za-z_:][\w:]*)(?:\{.*\})? (\S+)(?: -?\d+)?$/.exec(line) ?? [];
		if (name === undefined || !Number.isFinite(Number(value))) continue;
		sums.set(name, (sums.get(name) ?? 0) + Number(value));
	}
	return sums;
}
