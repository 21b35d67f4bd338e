import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { setPriority } from "node:os";

/**
 * Lets this process come after others. Threads that are started from now on inherit it (on Linux each has a priority of
 * its own), so call it before anything is loaded.
 *
 * @param nice - 0 as everything else, 19 after everything else
 */
export function lowerPriority(nice: number): void {
	// Lowering it is allowed to everybody, raising it again is not: a parent that was lowered stays so.
	if (nice > 0) setPriority(nice);
}

/**
 * Keeps this process, with all its threads, to some of the processors it may use: the last ones, since systems handle
 * devices on the first.
 *
 * @returns whether the system could do it: Linux with util-linux
 */
export function keepToCores(count: number): boolean {
	if (process.platform !== "linux") return false;
	const allowed = allowedCores();
	if (allowed.length <= count) return allowed.length > 0;
	const args = ["--all-tasks", "--cpu-list", "--pid", allowed.slice(-count).join(","), String(process.pid)];
	return spawnSync("taskset", args, { stdio: "ignore" }).status === 0;
}

/** Numbers of the processors that this process may use: `0-2,5` (proc_pid_status(5)) is 0, 1, 2 and 5. */
function allowedCores(): number[] {
	const list = /^Cpus_allowed_list:\s*(\S+)$/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1] ?? "";
	return list.split(",").flatMap((range) => {
		const [first = Number.NaN, last = first] = range.split("-").map(Number);
		return Number.isInteger(first) ? Array.from({ length: last - first + 1 }, (_, i) => first + i) : [];
	});
}
