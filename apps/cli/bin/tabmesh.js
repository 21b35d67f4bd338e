#!/usr/bin/env node
// Plain JavaScript that any Node can read: what stands behind it is TypeScript, which Node runs as it is from 22.18 on.
// An older Node hands over to the one that this project pins (npm package "node").
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import * as module from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const [major, minor] = process.versions.node.split(".").map(Number);

if (major > 23 || (major === 22 && minor >= 18) || (major === 23 && minor >= 6)) {
	// Keeps what became of the TypeScript: a later start is faster and, without the compiler, 25 MB smaller.
	module.enableCompileCache?.();
	await import("../src/main.ts");
} else {
	handOver();
}

function pinnedNode() {
	const name = process.platform === "win32" ? "node.cmd" : "node";
	for (let folder = here; ; folder = dirname(folder)) {
		const candidate = join(folder, "node_modules", ".bin", name);
		if (existsSync(candidate)) return candidate;
		if (dirname(folder) === folder) return undefined;
	}
}

function handOver() {
	const node = process.env.TABMESH_HANDED_OVER ? undefined : pinnedNode();
	if (!node) {
		console.error(
			`Tabmesh needs Node 22.18 or later, this is ${process.versions.node}; run "npm ci" once, it brings the right one.`,
		);
		process.exit(1);
	}
	const child = spawn(node, process.argv.slice(1), {
		// A parent's IPC channel goes along, so that a headless lender still sees its parent end.
		stdio: process.send ? ["inherit", "inherit", "inherit", "ipc"] : "inherit",
		env: { ...process.env, TABMESH_HANDED_OVER: "1" },
		shell: process.platform === "win32",
	});
	for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => child.kill(signal));
	process.on("disconnect", () => child.disconnect());
	child.on("exit", (code, signal) => process.exit(code ?? (signal === "SIGINT" ? 130 : 143)));
}
