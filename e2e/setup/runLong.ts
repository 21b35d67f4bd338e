import { spawnSync } from "node:child_process";
import { globSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/**
 * What takes longer than `npm test` may: `npm run fuzz` (a million inputs for every decoder of strangers' bytes) and
 * `npm run test:large` (models of hundreds of megabytes, in Node and in a browser). Each is a variable that test files ask for; only
 * those run.
 */
const kinds: Record<string, { variable: string; value: string }> = {
	fuzz: { variable: "FUZZ_RUNS", value: "1000000" },
	large: { variable: "TABMESH_LARGE", value: "1" },
};

const [name = "", ...rest] = process.argv.slice(2);
const kind = kinds[name];
if (kind === undefined) {
	console.error(`Give one of ${Object.keys(kinds).join(", ")}.`);
	process.exit(2);
}
const root = fileURLToPath(new URL("../../", import.meta.url));
const files = globSync("{packages,workers,relay,apps,bench}/**/*.test.ts", {
	cwd: root,
	exclude: (path) => path.endsWith("node_modules") || path.endsWith("dist"),
}).filter((file) => readFileSync(join(root, file), "utf8").includes(kind.variable));
const env = { ...process.env, [kind.variable]: process.env[kind.variable] ?? kind.value };

function tool(packageName: string, path: string, ...args: string[]): number {
	const script = join(dirname(createRequire(import.meta.url).resolve(`${packageName}/package.json`)), path);
	return spawnSync(process.execPath, [script, ...args], { cwd: root, stdio: "inherit", env }).status ?? 1;
}

process.exitCode = tool(
	"vitest",
	"vitest.mjs",
	"run",
	"--testTimeout=0",
	"--hookTimeout=0",
	...files,
	...rest,
);
if (name === "large" && rest.length === 0) {
	const inBrowser = tool(
		"@playwright/test",
		"cli.js",
		"test",
		"--config",
		"e2e/playwright.config.ts",
		"large/",
	);
	process.exitCode ||= inBrowser;
}
