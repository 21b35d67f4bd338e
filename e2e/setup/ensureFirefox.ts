import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";

/** Under these names distributions and Mozilla ship it. */
const names = ["firefox-esr", "firefox"];
/** Some shells of services have a bare PATH. */
const folders = [...(process.env.PATH ?? "").split(delimiter), "/usr/bin", "/usr/local/bin"];

/** On Ubuntu `firefox` is a stub that asks for a snap: being there is not enough, it has to start. */
function starts(path: string): boolean {
	return existsSync(path) && spawnSync(path, ["--version"], { stdio: "ignore" }).status === 0;
}

/** Where Firefox lies: `TABMESH_FIREFOX`, else the system's; undefined where there is none. */
export function firefoxPath(): string | undefined {
	const named = process.env.TABMESH_FIREFOX;
	const candidates = named ? [named] : names.flatMap((name) => folders.map((folder) => join(folder, name)));
	return candidates.find(starts);
}

/**
 * Looks for a Firefox, and installs Debian's package where there is none and we are root. Without it the tests that need
 * one are left out: everything else is tested in Chromium.
 *
 * @returns its path; undefined where there is none and none could be installed
 */
export function ensureFirefox(): string | undefined {
	const here = firefoxPath();
	if (here !== undefined || process.env.TABMESH_FIREFOX) return here;
	if (process.getuid?.() !== 0 || !existsSync("/usr/bin/apt-get")) return undefined;
	console.error("Installing Firefox …");
	const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
	for (const args of [
		["update", "-q"],
		["install", "-y", "-q", "--no-install-recommends", "firefox-esr"],
	]) {
		spawnSync("apt-get", args, { stdio: ["ignore", "inherit", "inherit"], env });
	}
	return firefoxPath();
}
