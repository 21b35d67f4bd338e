/**
 * Stops in order at the first SIGINT or SIGTERM and at once at the second: a person who presses Ctrl-C twice means it.
 *
 * @param stop - resolves when everything is put away
 * @returns resolves with the exit status when the process was asked to stop and has
 */
export function stopOnSignals(stop: (signal: NodeJS.Signals) => Promise<void>): Promise<number> {
	return new Promise((resolve) => {
		let stopping = false;
		const onSignal = (signal: NodeJS.Signals): void => {
			// 128 + signal number is what a shell reports for a program ended by that signal.
			if (stopping) process.exit(signal === "SIGINT" ? 130 : 143);
			stopping = true;
			stop(signal).then(
				() => resolve(0),
				() => resolve(1),
			);
		};
		process.on("SIGINT", onSignal);
		process.on("SIGTERM", onSignal);
	});
}
