import { NoRouteError } from "@tabmesh/wire";
import { describe, expect, it } from "vitest";
import { describeError, describePeer, describeSpan } from "./describe.ts";
import { memoryChoice } from "./lend/memory.ts";

describe("words for people", () => {
	it("says of a Tabmesh error what happened and what to do", () => {
		const error = new NoRouteError("Nobody holds layer 4.", { metaMessages: ["Open another tab."] });
		expect(describeError(error)).toEqual({
			what: "Nobody holds layer 4.",
			steps: ["Open another tab."],
			code: "NoRoute",
		});
	});

	it("shows nothing of a foreign error's inside", () => {
		for (const foreign of [new TypeError("x is undefined at /secret/path"), "text", null, undefined])
			expect(JSON.stringify(describeError(foreign))).not.toMatch(/undefined at|secret|text"/);
	});

	it("says of a page whose rest did not come that this device may be offline", () => {
		for (const words of [
			"Failed to fetch dynamically imported module: http://localhost/assets/client-x.js",
			"Importing a module script failed.",
			"error loading dynamically imported module: http://localhost/assets/client-x.js",
		])
			expect(describeError(new TypeError(words)).steps.join()).toContain("online");
	});

	it("counts layers as people do", () => {
		expect(describeSpan({ from: 0, to: 2, embed: true, head: false })).toBe("embedding + layers 1–2");
		expect(describeSpan({ from: 5, to: 6, embed: false, head: true })).toBe("layer 6 + output head");
		expect(describeSpan({ from: 0, to: 0, embed: true, head: false })).toBe("embedding");
	});

	it("calls our own peer by its place", () => {
		expect(describePeer("12D3KooWabcde", "12D3KooWabcde")).toBe("this tab");
		expect(describePeer("12D3KooWabcde", "12D3KooWother")).toBe("…abcde");
	});
});

describe("memoryChoice", () => {
	it("suggests a part of what the device has, in whole steps within its bounds", () => {
		for (const gigabytes of [undefined, 0.25, 0.5, 1, 2, 4, 8, 16, 32]) {
			const { least, most, step, sensible } = memoryChoice(gigabytes);
			expect(sensible).toBeGreaterThanOrEqual(least);
			expect(sensible).toBeLessThanOrEqual(most);
			expect(most).toBeLessThanOrEqual(Math.max(step, ((gigabytes ?? 8) / 2) * 1e9));
			expect((sensible - least) % step).toBe(0);
			expect((most - least) % step).toBe(0);
		}
		expect(memoryChoice(8).sensible).toBe(2e9);
		expect(memoryChoice(undefined).sensible).toBe(1e9);
	});
});
