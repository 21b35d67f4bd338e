import { InvalidParameterError } from "@tabmesh/wire";
import fc from "fast-check";
import { afterEach, expect, test, vi } from "vitest";
import { parseSchedule, scheduleAt } from "./schedule.ts";

const at = (text: string): Date => new Date(`2026-11-${text}`);
const say = (schedule: string, now: string) => scheduleAt(parseSchedule(schedule, "--schedule"), at(now));

afterEach(() => vi.unstubAllEnvs());

test("a schedule within a day is open from its first minute up to its last one", () => {
	expect(say("09:00-17:30", "21T08:59:59")).toEqual({ open: false, changes: at("21T09:00") });
	expect(say("09:00-17:30", "21T09:00:00")).toEqual({ open: true, changes: at("21T17:30") });
	expect(say("9:00 - 17:30", "21T17:29:59")).toEqual({ open: true, changes: at("21T17:30") });
	expect(say("09:00-17:30", "21T17:30:00")).toEqual({ open: false, changes: at("22T09:00") });
});

test("a schedule over midnight is open on both sides of it", () => {
	expect(say("22:00-07:00", "21T21:59:00")).toEqual({ open: false, changes: at("21T22:00") });
	expect(say("22:00-07:00", "21T23:30:00")).toEqual({ open: true, changes: at("22T07:00") });
	expect(say("22:00-07:00", "30T03:00:00")).toEqual({ open: true, changes: at("30T07:00") });
	expect(say("22:00-07:00", "22T07:00:00")).toEqual({ open: false, changes: at("22T22:00") });
	expect(say("22:00-24:00", "30T22:00:00")).toEqual({ open: true, changes: new Date("2026-12-01T00:00") });
});

test("the clock on the wall counts when it is put forward or back", () => {
	vi.stubEnv("TZ", "Europe/Berlin");
	const { changes } = scheduleAt({ from: 22 * 60, to: 7 * 60 }, new Date("2026-03-28T23:00:00+01:00"));
	expect(changes.toISOString()).toBe("2026-03-29T05:00:00.000Z");
	// 2:30 for the second time.
	const again = scheduleAt({ from: 160, to: 7 * 60 }, new Date("2026-10-25T02:30:15+01:00"));
	expect(again).toEqual({ open: false, changes: new Date("2026-10-25T02:40:00+01:00") });
});

test("what it says next is when it changes, and not before", () => {
	vi.stubEnv("TZ", "UTC");
	const minute = fc.integer({ min: 0, max: 1439 });
	const moment = fc.date({ min: new Date("2020-01-01"), max: new Date("2030-01-01"), noInvalidDate: true });
	fc.assert(
		fc.property(minute, minute, moment, (from, to, now) => {
			fc.pre(from !== to);
			const { open, changes } = scheduleAt({ from, to }, now);
			expect(changes.getTime()).toBeGreaterThan(now.getTime());
			expect(scheduleAt({ from, to }, changes).open).toBe(!open);
			expect(scheduleAt({ from, to }, new Date(changes.getTime() - 1)).open).toBe(open);
		}),
	);
});

test("what is no time of day is refused in one sentence", () => {
	for (const text of [
		"",
		"22-07",
		"22:00",
		"24:01-07:00",
		"25:00-07:00",
		"22:60-07:00",
		"a:bc-d:ef",
		"1:00-1:00",
	]) {
		expect(() => parseSchedule(text, "--schedule")).toThrow(InvalidParameterError);
	}
	expect(() => parseSchedule("8:00-8:00", "--schedule")).toThrow(/--schedule ends when it begins/);
	expect(() => parseSchedule("0:00-24:00", "--schedule")).toThrow(/lend all day/);
});
