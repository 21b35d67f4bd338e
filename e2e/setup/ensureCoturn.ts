import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";

/** Some shells of services have a bare PATH. */
const folders = [...(process.env.PATH ?? "").split(delimiter), "/usr/bin", "/usr/sbin", "/usr/local/bin"];

/** Where coturn's `turnserver` lies: `TABMESH_TURNSERVER`, else the system's; undefined where there is none. */
export function coturnPath(): string | undefined {
	const named = process.env.TABMESH_TURNSERVER;
	const candidates = named ? [named] : folders.map((folder) => join(folder, "turnserver"));
	return candidates.find((path) => existsSync(path));
}

/**
 * Looks for coturn, and installs Debian's package where there is none and we are root. Without it the latency lab's tests are
 * left out.
 *
 * @returns the path of its `turnserver`; undefined where there is none and none could be installed
 */
export function ensureCoturn(): string | undefined {
	const here = coturnPath();
	if (here !== undefined || process.env.TABMESH_TURNSERVER) return here;
	if (process.getuid?.() !== 0 || !existsSync("/usr/bin/apt-get")) return undefined;
	console.error("Installing coturn …");
	// The package starts a service where it may; in runlevel 1 Debian's invoke-rc.d does not.
	const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive", RUNLEVEL: "1" };
	for (const args of [
		["update", "-q"],
		["install", "-y", "-q", "--no-install-recommends", "coturn"],
	]) {
		spawnSync("apt-get", args, { stdio: ["ignore", "inherit", "inherit"], env });
	}
	return coturnPath();
}
