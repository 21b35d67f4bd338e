import { readFile } from "node:fs/promises";
import type { Browser } from "playwright-core";

/** Process ids of a browser's renderers: the processes that tabs, with their workers, live in. */
async function rendererPids(browser: Browser): Promise<number[]> {
	const session = await browser.newBrowserCDPSession();
	const { processInfo } = await session.send("SystemInfo.getProcessInfo");
	await session.detach();
	return processInfo.filter(({ type }) => type === "renderer").map(({ id }) => id);
}

/** Bytes of memory of one process; what it shares with others counts in part (PSS, proc(5)). */
export async function processBytes(pid: number): Promise<number> {
	const text = await readFile(`/proc/${pid}/smaps_rollup`, "utf8");
	return Number(/^Pss:\s+(\d+) kB/m.exec(text)![1]) * 1024;
}

/** Watches the renderers that are not among `known`, until one of them turns out to be the tab that works. */
export function watchNewRenderer(
	browser: Browser,
	known: readonly number[],
	everyMs: number,
): { stop(): Promise<{ pid: number; peakBytes: number }> } {
	const now = new Map<number, number>();
	const peaks = new Map<number, number>();
	let stopped = false;
	const watching = (async () => {
		while (!stopped) {
			for (const pid of await rendererPids(browser)) {
				if (known.includes(pid)) continue;
				// A navigation may take another process and end the one before.
				const bytes = await processBytes(pid).catch(() => 0);
				now.set(pid, bytes);
				peaks.set(pid, Math.max(bytes, peaks.get(pid) ?? 0));
			}
			await new Promise((resolve) => setTimeout(resolve, everyMs));
		}
	})();
	return {
		/** The largest process of those, and the most that it took. */
		async stop() {
			stopped = true;
			await watching;
			const [pid] = [...now].reduce((largest, each) => (each[1] > largest[1] ? each : largest));
			return { pid, peakBytes: peaks.get(pid)! };
		},
	};
}
