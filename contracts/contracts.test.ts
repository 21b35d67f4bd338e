import { readFile } from "node:fs/promises";
import { describe, expect, test } from "vitest";
import { forge } from "./forge.ts";
import { generated } from "./generated.ts";

describe("contracts", () => {
	test("keep their promises (forge test)", async () => {
		expect(await forge("test")).toMatch(/ 0 failed/);
	});

	test("are formatted (forge fmt)", async () => {
		await forge("fmt", "--check");
	});

	test("lie in other rooms as their sources compile", async () => {
		for (const { file, text } of await generated()) {
			expect(await readFile(file, "utf8"), "npm run generate -w @tabmesh/contracts").toBe(text);
		}
	});
});
