import { fileURLToPath } from "node:url";
import { defineConfig } from "@playwright/test";
import { chromiumFlags, softwareGpu } from "./setup/chromiumFlags.ts";
import { chromiumPath } from "./setup/ensureChromium.ts";

const at = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

const launch = (...more: string[]) => ({
	launchOptions: { executablePath: chromiumPath(), args: [...chromiumFlags, ...more] },
});

/** What takes minutes and hundreds of megabytes: `npm run test:large`. */
const large = process.env.TABMESH_LARGE === "1";

/** Real relays, real tabs, real WebRTC. One spec at a time: four tabs already fill a small machine. */
export default defineConfig({
	testDir: at("."),
	outputDir: at("../test-results/e2e"),
	globalSetup: at("setup/globalSetup.ts"),
	workers: 1,
	// A shared machine stalls now and then; what fails twice is broken.
	retries: process.env.CI ? 1 : 0,
	timeout: 180_000,
	expect: { timeout: 60_000 },
	reporter: [["list"], ["json", { outputFile: at("../test-results/e2e.json") }]],
	projects: [
		{ name: "wasm", testIgnore: [/webgpu\.spec\.ts/, ...(large ? [] : [/\/large\//])], use: launch() },
		{ name: "webgpu", testMatch: /webgpu\.spec\.ts/, use: launch(...softwareGpu) },
	],
});
