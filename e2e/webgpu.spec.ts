import { test } from "@playwright/test";
import { expectSameAsOneProcess } from "./sameAsOneProcess.ts";

test("three tabs on WebGPU write what one tab writes, greedy and sampled", async ({ browser }) => {
	await expectSameAsOneProcess(browser, "webgpu");
});
