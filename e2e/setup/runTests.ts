import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { ensureChromium } from "./ensureChromium.ts";
import { ensureFirefox } from "./ensureFirefox.ts";

/** `npm test`: unit tests, then those in a real browser, then one line that sums both up. */
const root = fileURLToPath(new URL("../../", import.meta.url));
const results = join(root, "test-results");
const unitFile = join(results, "unit.json");
const e2eFile = join(results, "e2e.json");

interface Count {
	passed: number;
	failed: number;
}

function script(packageName: string, path: string): string {
	return join(dirname(createRequire(import.meta.url).resolve(`${packageName}/package.json`)), path);
}

/** Runs a tool of this project to its end and says whether it was content. */
function tool(path: string, ...args: string[]): boolean {
	const env = { ...process.env, TABMESH_CHROMIUM: process.env.TABMESH_CHROMIUM ?? chromium };
	return spawnSync(process.execPath, [path, ...args], { cwd: root, stdio: "inherit", env }).status === 0;
}

/** A run that ended badly without a failed test (a crash, no report) counts as one failure. */
function count(file: string, content: boolean, read: (report: unknown) => Count): Count {
	const found = existsSync(file) ? read(JSON.parse(readFileSync(file, "utf8"))) : { passed: 0, failed: 0 };
	return content || found.failed > 0 ? found : { passed: found.passed, failed: 1 };
}

const chromium = ensureChromium();
if (ensureFirefox() === undefined) console.error("No Firefox: its tests are left out.");
mkdirSync(results, { recursive: true });
for (const file of [unitFile, e2eFile]) rmSync(file, { force: true });

const unitContent = tool(
	script("vitest", "vitest.mjs"),
	"run",
	"--reporter=default",
	"--reporter=json",
	`--outputFile.json=${unitFile}`,
);
const e2eContent = tool(script("@playwright/test", "cli.js"), "test", "--config", "e2e/playwright.config.ts");

const unit = count(unitFile, unitContent, (report) => {
	const { numPassedTests, numFailedTests } = report as { numPassedTests: number; numFailedTests: number };
	return { passed: numPassedTests, failed: numFailedTests };
});
const e2e = count(e2eFile, e2eContent, (report) => {
	const { expected, flaky, unexpected } = (report as { stats: Record<string, number> }).stats;
	return { passed: (expected ?? 0) + (flaky ?? 0), failed: unexpected ?? 0 };
});
const passed = unit.passed + e2e.passed;
const failed = unit.failed + e2e.failed;
console.log(
	`\nunit: ${unit.passed} passed, ${unit.failed} failed · browser: ${e2e.passed} passed, ${e2e.failed} failed`,
);
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 && passed > 0 ? 0 : 1;
