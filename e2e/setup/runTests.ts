import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { buildSite } from "@tabmesh/cli";
import { ensureChromium } from "./ensureChromium.ts";
import { ensureCoturn } from "./ensureCoturn.ts";
import { ensureFirefox } from "./ensureFirefox.ts";

/** `npm test`: unit tests, then those in a real browser, then one line that sums both up. */
const root = fileURLToPath(new URL("../../", import.meta.url));
const results = join(root, "test-results");
const unitFile = join(results, "unit.json");
const againFile = join(results, "unit-again.json");
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

function runUnit(file: string, paths: readonly string[] = []): Count {
	const content = tool(
		script("vitest", "vitest.mjs"),
		"run",
		...paths,
		"--reporter=default",
		"--reporter=json",
		`--outputFile.json=${file}`,
	);
	return count(file, content, (report) => {
		const { numPassedTests, numFailedTests } = report as { numPassedTests: number; numFailedTests: number };
		return { passed: numPassedTests, failed: numFailedTests };
	});
}

interface UnitReport {
	readonly numFailedTests: number;
	readonly testResults: readonly {
		readonly name: string;
		readonly status: string;
		readonly message: string;
		readonly assertionResults: readonly { readonly status: string }[];
	}[];
}

/**
 * All unit tests; on a CI machine those once more whose process died under them (a signal, no failed test). Native libraries do that once
 * in many runs, and Vitest runs a failed test again, but not a dead file. What fails twice is broken.
 */
function unitTests(): Count {
	const first = runUnit(unitFile);
	if (!process.env.CI || first.failed === 0 || !existsSync(unitFile)) return first;
	const { numFailedTests, testResults } = JSON.parse(readFileSync(unitFile, "utf8")) as UnitReport;
	const dead = testResults.filter(
		({ status, message, assertionResults }) =>
			status === "failed" && message === "" && assertionResults.every((test) => test.status !== "failed"),
	);
	if (dead.length === 0) return first;
	const paths = dead.map(({ name }) => name);
	console.log(`A process died under these, which run once more:\n  ${paths.join("\n  ")}`);
	const again = runUnit(againFile, paths);
	const passed = dead.flatMap((each) => each.assertionResults).filter(({ status }) => status === "passed");
	return {
		passed: first.passed - passed.length + again.passed,
		failed: numFailedTests + again.failed,
	};
}

const chromium = ensureChromium();
if (ensureFirefox() === undefined) console.error("No Firefox: its tests are left out.");
if (ensureCoturn() === undefined) console.error("No coturn: the latency lab's tests are left out.");
mkdirSync(results, { recursive: true });
for (const file of [unitFile, againFile, e2eFile]) rmSync(file, { force: true });

// Tests of both kinds look at the pages.
await buildSite({ onStart: () => console.error("Building the web pages …") });
const unit = unitTests();
const e2eContent = tool(script("@playwright/test", "cli.js"), "test", "--config", "e2e/playwright.config.ts");

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
