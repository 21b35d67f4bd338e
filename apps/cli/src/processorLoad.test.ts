import { expect, test } from "vitest";
import { LoadGate, othersShare, processorTimes } from "./processorLoad.ts";

test("what this process computes itself is not counted as others' load", () => {
	const before = { total: 1000, idle: 800, own: 100 };
	expect(othersShare(before, { total: 2000, idle: 1300, own: 300 })).toBeCloseTo(0.3);
	expect(othersShare(before, { total: 2000, idle: 1300, own: 600 })).toBe(0);
	expect(othersShare(before, { total: 2000, idle: 800, own: 100 })).toBe(1);
	// Counters that are read twice in the same tick.
	expect(othersShare(before, before)).toBe(0);
});

test("the system's counters move, and ours with our work", () => {
	const before = processorTimes();
	const until = performance.now() + 200;
	while (performance.now() < until);
	const after = processorTimes();
	expect(after.own - before.own).toBeGreaterThan(50);
	expect(after.total).toBeGreaterThan(before.total);
	expect(othersShare(before, after)).toBeLessThanOrEqual(1);
});

test("only load that lasts closes the gate, and only quiet that lasts opens it", () => {
	const gate = new LoadGate(0.5);
	const readings = (...shares: number[]) => shares.map((share) => gate.add(share)).at(-1);
	expect(readings(0.9, 0.9, 0.1, 0.9, 0.9)).toBe(false);
	expect(readings(0.9)).toBe(true);
	expect(readings(...Array(14).fill(0.2), 0.8, ...Array(14).fill(0.2))).toBe(true);
	expect(readings(0.2)).toBe(false);
});
