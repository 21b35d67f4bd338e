import { test } from "@playwright/test";
import { expectSameAsOneProcess } from "./sameAsOneProcess.ts";

test("three tabs on WebGPU write what one tab writes, greedy and sampled", async ({ browser }) => {
	// A layer for each tab: in software every further one takes seconds.
	await expectSameAsOneProcess(browser, "webgpu", 3);
});
