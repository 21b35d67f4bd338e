import { cpus } from "node:os";

/** What one bench measured. */
export interface Report {
	bench: string;
	/** Named figures, the ones that issues and docs quote. */
	figures: Record<string, number>;
	/** Everything behind them: medians, runs, settings. */
	details: Record<string, unknown>;
}

/** The middle value; the mean of the two middle ones for an even count. */
export function median(values: readonly number[]): number {
	const sorted = values.toSorted((a, b) => a - b);
	const middle = sorted.length >> 1;
	return sorted.length % 2 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** `value` to four significant digits. */
export function round(value: number): number {
	return Number(value.toPrecision(4));
}

/** Prints a table for people; with `--json` on the command line the last line is one object for programs. */
export function print(report: Report, targets: Record<string, string> = {}): void {
	const rows = Object.entries(report.figures).map(([figure, value]) => ({
		figure,
		value: round(value),
		target: targets[figure] ?? "",
	}));
	console.log(`\n${report.bench} (${cpus().length} cores, Node ${process.versions.node})`);
	console.table(rows);
	for (const [name, value] of Object.entries(report.details))
		console.log(`  ${name}: ${JSON.stringify(value)}`);
	if (process.argv.includes("--json")) {
		const figures = Object.fromEntries(
			Object.entries(report.figures).map(([name, value]) => [name, round(value)]),
		);
		console.log(JSON.stringify({ ...report, figures }));
	}
}

/** Progress for the person who waits; stderr, so that it never mixes with figures. */
export function note(text: string): void {
	process.stderr.write(`${text}\n`);
}
