import { spawn } from "node:child_process";
import type { Dirent } from "node:fs";
import { readdir, stat } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { TabmeshError } from "@tabmesh/wire";

/** Root of the repository that this file stands in. */
export const repositoryRoot: string = fileURLToPath(new URL("../../../", import.meta.url));

/** Thrown when the web pages cannot be built. */
export class SiteBuildError extends TabmeshError {
	override name = "SiteBuildError";
	override readonly code = "SiteBuild";
}

const skipped = new Set(["node_modules", "dist", "cli"]);

async function newestSource(folder: string): Promise<number> {
	let entries: Dirent[];
	try {
		entries = await readdir(folder, { withFileTypes: true });
	} catch {
		return 0;
	}
	const times = entries.map(async (entry) => {
		const path = join(folder, entry.name);
		if (entry.isDirectory()) return skipped.has(entry.name) ? 0 : newestSource(path);
		if (entry.name.endsWith(".test.ts")) return 0;
		return (await stat(path)).mtimeMs;
	});
	return Math.max(0, ...(await Promise.all(times)));
}

/** Whether `dist/` is missing, or older than what it is built from. */
export async function siteIsStale(root: string = repositoryRoot): Promise<boolean> {
	const built = await stat(join(root, "dist", "index.html")).catch(() => undefined);
	if (!built) return true;
	const newest = await Promise.all([
		...["apps", "packages", "workers"].map((folder) => newestSource(join(root, folder))),
		...["vite.config.ts", "package-lock.json"].map(async (file) => {
			return (await stat(join(root, file)).catch(() => undefined))?.mtimeMs ?? 0;
		}),
	]);
	return Math.max(...newest) > built.mtimeMs;
}

/**
 * Builds the web pages with Vite where that is needed. In a process of its own: a build leaves hundreds of megabytes
 * behind that the relay does not want to carry.
 *
 * @returns the folder that holds them
 * @throws SiteBuildError with the last lines that Vite wrote
 */
export async function buildSite(
	options: { onStart?: () => void; signal?: AbortSignal } = {},
): Promise<string> {
	const siteDir = join(repositoryRoot, "dist");
	if (!(await siteIsStale())) return siteDir;
	options.onStart?.();
	const vite = join(dirname(createRequire(import.meta.url).resolve("vite/package.json")), "bin", "vite.js");
	const child = spawn(process.execPath, [vite, "build", "--logLevel", "warn"], {
		cwd: repositoryRoot,
		stdio: ["ignore", "pipe", "pipe"],
		...(options.signal === undefined ? {} : { signal: options.signal }),
	});
	let output = "";
	for (const stream of [child.stdout, child.stderr]) {
		stream.setEncoding("utf8").on("data", (text: string) => {
			output = (output + text).slice(-4000);
		});
	}
	const code = await new Promise<number | null>((resolve, reject) => {
		child.on("error", reject);
		child.on("close", resolve);
	});
	if (code !== 0) {
		throw new SiteBuildError(`The web pages could not be built:\n${output.trim()}\n`, {
			metaMessages: ['Run "npm ci" once more, then "npm run build" to see the whole story.'],
		});
	}
	return siteDir;
}
