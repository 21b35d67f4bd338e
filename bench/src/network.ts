import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { note } from "./report.ts";

const cli = fileURLToPath(new URL("../../apps/cli/bin/tabmesh.js", import.meta.url));

/** How long it may take to stop. */
const stopMs = 4_000;

/** A network of its own, started as a person would start it. */
export interface Network {
	readonly url: string;
	/** Of the process that is the relay. */
	readonly pid: number;
	stop(): Promise<void>;
}

/** Runs `tabmesh start` on a free port with further arguments, and waits for its address. */
export async function startNetwork(...args: string[]): Promise<Network> {
	const child: ChildProcess = spawn(process.execPath, [cli, "start", "--port", "0", ...args], {
		stdio: ["ignore", "pipe", "inherit"],
	});
	const end = (): void => void child.kill("SIGKILL");
	// Whatever ends this process, also while the other one is still starting.
	process.once("exit", end);
	child.once("exit", () => process.off("exit", end));
	let printed = "";
	const url = await new Promise<string>((resolve, reject) => {
		child.once("exit", (code) => reject(new Error(`tabmesh start ended with ${code}.`)));
		child.stdout!.on("data", (piece) => {
			printed += piece;
			const address = /https?:\/\/[^\s/]+/.exec(printed)?.[0];
			if (address && printed.includes("\n")) resolve(address);
		});
	});
	note(`network at ${url}`);
	return {
		url,
		pid: child.pid!,
		async stop() {
			if (child.exitCode !== null || child.signalCode !== null) return;
			child.removeAllListeners("exit");
			const ended = once(child, "exit");
			child.kill("SIGTERM");
			const enough = setTimeout(() => child.kill("SIGKILL"), stopMs);
			await ended;
			clearTimeout(enough);
		},
	};
}
