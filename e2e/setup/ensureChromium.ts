import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { delimiter, dirname, join } from "node:path";
import { chromium } from "playwright-core";

/** Under these names distributions and Google ship it. */
const names = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
/** Some shells of services have a bare PATH. */
const folders = [...(process.env.PATH ?? "").split(delimiter), "/usr/bin", "/usr/local/bin"];

function candidates(): string[] {
	const named = process.env.TABMESH_CHROMIUM;
	if (named) return [named];
	const inPath = names.flatMap((name) => folders.map((folder) => join(folder, name)));
	return [...inPath, chromium.executablePath()];
}

function find(): string | undefined {
	return candidates().find((path) => path !== "" && existsSync(path));
}

/**
 * Where Chromium lies: `TABMESH_CHROMIUM`, else the system's, else Playwright's own.
 *
 * @throws Error when there is none
 */
export function chromiumPath(): string {
	const path = find();
	if (path !== undefined) return path;
	throw new Error(
		process.env.TABMESH_CHROMIUM
			? `TABMESH_CHROMIUM names ${process.env.TABMESH_CHROMIUM}, where nothing is.`
			: 'No Chromium was found. Run "node e2e/setup/ensureChromium.ts", or name one in TABMESH_CHROMIUM.',
	);
}

/** On Ubuntu `chromium` is a stub that asks for a snap: being there is not enough, it has to start. */
function starts(path: string | undefined): path is string {
	return (
		path !== undefined && spawnSync(path, ["--version", "--no-sandbox"], { stdio: "ignore" }).status === 0
	);
}

function run(command: string, ...args: string[]): boolean {
	console.error(`> ${command} ${args.join(" ")}`);
	const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
	return spawnSync(command, args, { stdio: ["ignore", "inherit", "inherit"], env }).status === 0;
}

/**
 * Makes sure that there is a Chromium: the one that is here, else Debian's package where we are root, else Playwright's.
 *
 * @returns its path
 * @throws Error when none could be installed
 */
export function ensureChromium(): string {
	const here = find();
	if (starts(here)) return here;
	if (process.env.TABMESH_CHROMIUM) return chromiumPath();
	if (process.getuid?.() === 0 && existsSync("/usr/bin/apt-get")) {
		console.error("Installing Chromium …");
		run("apt-get", "update", "-q");
		run("apt-get", "install", "-y", "-q", "--no-install-recommends", "chromium");
		const installed = find();
		if (starts(installed)) return installed;
	}
	const playwright = join(
		dirname(createRequire(import.meta.url).resolve("playwright-core/package.json")),
		"cli.js",
	);
	run(process.execPath, playwright, "install", "chromium");
	return chromiumPath();
}

if (import.meta.main) console.error(`Chromium: ${ensureChromium()}`);
