import { test } from "@playwright/test";
import { expectSameAsOneProcess } from "./sameAsOneProcess.ts";

test("three tabs on WASM write what one tab writes, greedy and sampled", async ({ browser }) => {
	await expectSameAsOneProcess(browser, "wasm", 6);
});
