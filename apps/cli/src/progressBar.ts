import cliProgress from "cli-progress";
import { formatSize } from "./optionValues.ts";

/** A line that says how far something is. */
export interface ProgressBar {
	update(doneBytes: number, totalBytes: number): void;
	/** Ends the line; `done` says whether it came to its end. */
	end(done: boolean): void;
}

/** A bar on a terminal; elsewhere (a log, CI) one line when it begins and one when it ends. On stderr: stdout is for results. */
export function progressBar(title: string): ProgressBar {
	if (!process.stderr.isTTY) {
		let begun = false;
		return {
			update(_done, total) {
				if (!begun) process.stderr.write(`${title}: ${formatSize(total)} …\n`);
				begun = true;
			},
			end(done) {
				if (begun && done) process.stderr.write(`${title}: done\n`);
			},
		};
	}
	let bar: cliProgress.SingleBar | undefined;
	return {
		update(done, total) {
			if (!bar) {
				bar = new cliProgress.SingleBar({
					format: `${title} [{bar}] {percentage}% · {shown} of {size} · {eta_formatted} left`,
					stream: process.stderr,
					hideCursor: true,
					barsize: 24,
					barCompleteChar: "█",
					barIncompleteChar: "·",
				});
				bar.start(total, done, { shown: formatSize(done), size: formatSize(total) });
			}
			bar.update(done, { shown: formatSize(done) });
		},
		end() {
			bar?.stop();
		},
	};
}
