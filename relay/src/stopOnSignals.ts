/**
 * One press of Ctrl-C reaches us several times: the terminal tells every process of its group, and npm and our own
 * parents hand it on.
 */
const samePressMs = 250;

/**
 * Stops in order at the first SIGINT or SIGTERM and at once at the second: a person who presses Ctrl-C twice means it.
 *
 * @param stop - resolves when everything is put away
 * @returns resolves with the exit status when the process was asked to stop and has
 */
export function stopOnSignals(stop: (signal: NodeJS.Signals) => Promise<void>): Promise<number> {
	return new Promise((resolve) => {
		let stopping: number | undefined;
		const onSignal = (signal: NodeJS.Signals): void => {
			// 128 + signal number is what a shell reports for a program ended by that signal.
			if (stopping !== undefined) {
				if (performance.now() - stopping > samePressMs) process.exit(signal === "SIGINT" ? 130 : 143);
				return;
			}
			stopping = performance.now();
			stop(signal).then(
				() => resolve(0),
				() => resolve(1),
			);
		};
		process.on("SIGINT", onSignal);
		process.on("SIGTERM", onSignal);
	});
}
