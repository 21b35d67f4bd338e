import { readdir, readFile } from "node:fs/promises";
import { processBytes } from "./rendererMemory.ts";

interface Process {
	readonly pid: number;
	readonly parent: number;
	readonly command: string;
}

async function processes(): Promise<Process[]> {
	const found: Process[] = [];
	for (const name of await readdir("/proc")) {
		if (!/^\d+$/.test(name)) continue;
		try {
			const status = await readFile(`/proc/${name}/status`, "utf8");
			const command = await readFile(`/proc/${name}/cmdline`, "utf8");
			found.push({ pid: Number(name), parent: Number(/^PPid:\s+(\d+)/m.exec(status)![1]), command });
		} catch {
			// It ended meanwhile.
		}
	}
	return found;
}

/** Bytes that a browser takes: its tabs, and all of it. */
export interface ProfileBytes {
	readonly tabs: number;
	readonly all: number;
}

/** What the browser that was started with the profile in `folder` takes now; memory that processes share counts once. */
async function profileBytes(folder: string): Promise<ProfileBytes> {
	const all = await processes();
	const ours = all.filter(({ command }) => command.includes(`--user-data-dir=${folder}`));
	const known = new Set(ours.map(({ pid }) => pid));
	for (let grown = true; grown; ) {
		grown = false;
		for (const each of all) {
			if (known.has(each.pid) || !known.has(each.parent)) continue;
			known.add(each.pid);
			ours.push(each);
			grown = true;
		}
	}
	const sizes = await Promise.all(
		ours.map(async ({ pid, command }) => ({
			tab: command.includes("--type=renderer"),
			bytes: await processBytes(pid).catch(() => 0),
		})),
	);
	const sum = (chosen: typeof sizes): number => chosen.reduce((total, { bytes }) => total + bytes, 0);
	return { tabs: sum(sizes.filter(({ tab }) => tab)), all: sum(sizes) };
}

/** Runs `work` and says how far the browser with the profile in `folder` grew above where it was. */
export async function growth<T>(
	folder: string,
	work: () => Promise<T>,
): Promise<{ result: T; above: ProfileBytes }> {
	const idle = await profileBytes(folder);
	let most = idle;
	let done = false;
	const watching = (async () => {
		while (!done) {
			const now = await profileBytes(folder);
			most = { tabs: Math.max(most.tabs, now.tabs), all: Math.max(most.all, now.all) };
			await new Promise((resolve) => setTimeout(resolve, 100));
		}
	})();
	try {
		const result = await work();
		return { result, above: { tabs: most.tabs - idle.tabs, all: most.all - idle.all } };
	} finally {
		done = true;
		await watching;
	}
}
