import { type ChildProcess, fork } from "node:child_process";
import { join } from "node:path";
import { repositoryRoot } from "./buildSite.ts";

export interface LenderProcessesInit {
	count: number;
	/** Site of the relay that they join. */
	relay: string;
	/** Bytes that each one lends. */
	memoryBytes: number;
	model: string;
	threads: number;
	/** A line of a lender's own state, or about its end. */
	onLine: (lender: number, line: string) => void;
}

/** Headless lenders beside a relay. */
export interface LenderProcesses {
	/** Process ids of those that run now. */
	readonly pids: readonly number[];
	/** Asks all of them to leave, waits, and ends those that do not. */
	stop(): Promise<void>;
}

/** First wait before a dead lender starts again; doubles up to the longest, and starts over after a quiet minute. */
const firstWaitMs = 500;
const longestWaitMs = 30_000;
const quietMs = 60_000;
/** Long enough for a goodbye over the network. */
const leaveMs = 5000;

/**
 * Starts headless lenders as processes of their own, each the command `tabmesh lend`: they are real peers over WebRTC,
 * and a crash of one costs nobody else anything. They end with this process even when it is killed, because each
 * watches its IPC channel.
 */
export function startLenderProcesses(init: LenderProcessesInit): LenderProcesses {
	const children = new Map<number, ChildProcess>();
	const timers = new Set<NodeJS.Timeout>();
	let stopping = false;

	function launch(lender: number, waitMs: number): void {
		const started = performance.now();
		const child = fork(
			join(repositoryRoot, "apps/cli/bin/tabmesh.js"),
			[
				"lend",
				"--relay",
				init.relay,
				"--memory",
				String(init.memoryBytes),
				"--model",
				init.model,
				"--threads",
				String(init.threads),
				// Whoever starts a network waits for its answers; and it ends as a whole, with its answers.
				"--nice",
				"0",
				"--finish",
				"0",
				// The files lie on this machine already.
				"--no-keep",
			],
			{ stdio: ["ignore", "pipe", "pipe", "ipc"], execArgv: [] },
		);
		children.set(lender, child);
		for (const stream of [child.stdout!, child.stderr!]) {
			stream.setEncoding("utf8").on("data", (text: string) => {
				for (const line of text.split("\n")) if (line.trim() !== "") init.onLine(lender, line.trim());
			});
		}
		child.on("error", () => {});
		child.on("exit", (code, signal) => {
			children.delete(lender);
			if (stopping) return;
			const next = performance.now() - started > quietMs ? firstWaitMs : Math.min(waitMs * 2, longestWaitMs);
			init.onLine(lender, `ended (${signal ?? `status ${code}`}), starts again in ${next / 1000} s`);
			const timer = setTimeout(() => {
				timers.delete(timer);
				launch(lender, next);
			}, next);
			timers.add(timer);
		});
	}
	for (let lender = 1; lender <= init.count; lender++) launch(lender, firstWaitMs);

	return {
		get pids() {
			return [...children.values()].flatMap(({ pid }) => (pid === undefined ? [] : [pid]));
		},
		async stop() {
			stopping = true;
			for (const timer of timers) clearTimeout(timer);
			await Promise.all(
				[...children.values()].map(
					(child) =>
						new Promise<void>((resolve) => {
							if (child.exitCode !== null || child.signalCode !== null) return resolve();
							const timer = setTimeout(() => child.kill("SIGKILL"), leaveMs);
							child.once("exit", () => {
								clearTimeout(timer);
								resolve();
							});
							child.kill("SIGTERM");
						}),
				),
			);
		},
	};
}
