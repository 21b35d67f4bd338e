import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { formatBytes, formatBytesUp, formatDuration, formatMs, formatRate, formatWait } from "./format.ts";

describe("numbers for people", () => {
	it("writes bytes in decimal units", () => {
		expect([60_816_028, 1_500_000_000, 999_600_000, 1e9, 4096].map(formatBytes)).toEqual([
			"61 MB",
			"1.5 GB",
			"1 GB",
			"1 GB",
			"4 kB",
		]);
	});

	it("never understates what is missing", () => {
		const inBytes = (text: string) => Number.parseFloat(text) * (text.endsWith("GB") ? 1e9 : 1e6);
		fc.assert(
			fc.property(fc.integer({ min: 1, max: 9e11 }), (bytes) => {
				expect(inBytes(formatBytesUp(bytes).replaceAll(",", ""))).toBeGreaterThanOrEqual(bytes - 1);
			}),
		);
	});

	it("keeps times short", () => {
		expect([0, 1.04, 99.96, 1234].map(formatMs)).toEqual(["–", "1.0", "100", "1,234"]);
		expect([312, 999.7, 1840].map(formatWait)).toEqual(["312 ms", "1 s", "1.8 s"]);
		expect([9_000, 61_000, 3_600_000, 11_100_000].map(formatDuration)).toEqual([
			"9 s",
			"1 min",
			"1 h",
			"3 h 5 min",
		]);
		expect([41.3, 3.72, 0, Number.NaN].map(formatRate)).toEqual(["41", "3.7", "–", "–"]);
	});
});
