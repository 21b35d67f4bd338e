import { CommanderError } from "commander";
import { createProgram, stopSignal } from "./program.ts";
import { errorLine } from "./reportError.ts";

function print(line: string): void {
	process.stdout.write(`${line}\n`);
}

function note(line: string): void {
	process.stderr.write(`${line}\n`);
}

/**
 * Runs one command line.
 *
 * @param argv - without node and script
 * @returns the exit status: 0 when all went well, 1 for errors, 130 where a person cancelled
 */
export async function run(argv: readonly string[]): Promise<number> {
	let status = 0;
	const program = createProgram(
		{
			async start(options) {
				const { start } = await import("./commands/start.ts");
				const signal = stopSignal();
				const network = await start(options, { print, note }, signal);
				await new Promise<void>((resolve) => {
					if (signal.aborted) resolve();
					signal.addEventListener("abort", () => resolve(), { once: true });
				});
				note("Stopping …");
				await network.stop();
				return 0;
			},
			async lend(options) {
				const { lend } = await import("./commands/lend.ts");
				return lend(options, print, stopSignal());
			},
			async publish(options) {
				const { publish } = await import("./commands/publish.ts");
				const { id, folder, files, formats } = await publish(options, stopSignal());
				const shares = formats.map(
					({ weights, agreement }) => `${weights} ${(100 * agreement).toFixed(1)} %`,
				);
				note(`Agrees with float32 on the next token: ${shares.join(", ")}`);
				note(`Wrote ${files.join(", ")} to ${folder}`);
				print(id);
				return 0;
			},
			async ask(options) {
				const { ask } = await import("./commands/ask.ts");
				return ask(options, process, stopSignal());
			},
			async serve(options) {
				const { serve } = await import("./commands/serve.ts");
				return serve(options, { print, note }, stopSignal());
			},
			async explain(options) {
				const { explain } = await import("./commands/explain.ts");
				return explain(options, print, stopSignal());
			},
			async room(options) {
				const { room } = await import("./commands/room.ts");
				return room(options, { print, note });
			},
			async models() {
				const { modelsTable } = await import("./commands/models.ts");
				print(modelsTable());
				return 0;
			},
		},
		(code) => {
			status = code;
		},
	);
	try {
		await program.parseAsync([...argv], { from: "user" });
		return status;
	} catch (error) {
		// Commander has said it itself: help, version, or what is wrong with the line.
		if (error instanceof CommanderError) return error.exitCode;
		note(errorLine(error));
		return error instanceof Error && error.name === "AbortError" ? 130 : 1;
	}
}
