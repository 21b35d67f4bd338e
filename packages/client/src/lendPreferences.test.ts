import fc from "fast-check";
import * as v from "valibot";
import { describe, expect, it } from "vitest";
import { type LendPreferences, lendPreferencesSchema, mayLend, usualPreferences } from "./lendPreferences.ts";

const minute = fc.integer({ min: 0, max: 24 * 60 - 1 });
const now = fc.integer({ min: Date.UTC(2026, 0, 1), max: Date.UTC(2028, 0, 1) });
const preferences: fc.Arbitrary<LendPreferences> = fc.record({
	mode: fc.constantFrom("always" as const, "preferences" as const),
	onBattery: fc.boolean(),
	onMetered: fc.boolean(),
	onlyWhenIdle: fc.boolean(),
	hours: fc.option(fc.record({ from: minute, to: minute })),
	computeShare: fc.constantFrom(0.25, 0.5, 1),
	givesLayers: fc.boolean(),
	snoozedUntil: fc.constant(null),
});
const device = fc.record({
	power: fc.constantFrom("plugged" as const, "battery" as const, "unknown" as const),
	metered: fc.constantFrom(true, false, undefined),
	idle: fc.boolean(),
});

function isOpen({ hours }: LendPreferences, at: number): boolean {
	if (!hours || hours.from === hours.to) return true;
	const time = new Date(at);
	// The walk of a clock from `from` until it shows `to`, with no regard to midnight.
	const since = (minute: number) => (time.getHours() * 60 + time.getMinutes() - minute + 1440) % 1440;
	return since(hours.from) < (hours.to - hours.from + 1440) % 1440;
}

describe("whether a device lends now", () => {
	it("is decided by every preference, and by nothing that the device does not tell", () => {
		fc.assert(
			fc.property(preferences, device, now, (wishes, state, at) => {
				const { why } = mayLend(wishes, state, at);
				const allowed =
					wishes.mode === "always" ||
					(isOpen(wishes, at) &&
						(wishes.onBattery || state.power !== "battery") &&
						(wishes.onMetered || state.metered !== true) &&
						(!wishes.onlyWhenIdle || state.idle));
				expect(why === undefined).toBe(allowed);
			}),
			{ numRuns: 2000 },
		);
	});

	it("stays as it is until the time it names, and the clock's part of it turns then", () => {
		fc.assert(
			fc.property(
				preferences,
				device,
				now,
				fc.double({ min: 0, max: 1, noNaN: true }),
				(wishes, state, at, part) => {
					const { why, until } = mayLend(wishes, state, at);
					if (until === undefined) {
						expect(mayLend(wishes, state, at + part * 7 * 86_400_000).why).toBe(why);
						return;
					}
					expect(until).toBeGreaterThan(at);
					expect(until - at).toBeLessThanOrEqual(25 * 3_600_000);
					expect(mayLend(wishes, state, at + part * (until - 1 - at)).why).toBe(why);
					expect(mayLend(wishes, state, until).why === "hours").toBe(why !== "hours");
				},
			),
			{ numRuns: 2000 },
		);
	});

	it("is no for exactly as long as it is snoozed, also where it runs always", () => {
		fc.assert(
			fc.property(
				preferences,
				device,
				now,
				fc.integer({ min: 1, max: 3_600_000 }),
				(wishes, state, at, ms) => {
					const snoozed = { ...wishes, snoozedUntil: at + ms };
					expect(mayLend(snoozed, state, at)).toEqual({ why: "snoozed", until: at + ms });
					expect(mayLend(snoozed, state, at + ms)).toEqual(mayLend(wishes, state, at + ms));
					// A clock that was set back must not make an hour of it a year.
					expect(mayLend(snoozed, state, at - 7 * 86_400_000).why).not.toBe("snoozed");
				},
			),
		);
	});

	it("never fails on what lies where the preferences are kept: each that is none becomes the usual one", () => {
		expect(usualPreferences).toMatchObject({ mode: "preferences", onBattery: false, computeShare: 1 });
		fc.assert(
			fc.property(fc.object(), (found) => {
				expect(() =>
					mayLend(
						v.parse(lendPreferencesSchema, found),
						{ power: "unknown", metered: undefined, idle: true },
						0,
					),
				).not.toThrow();
			}),
		);
		expect(
			v.parse(lendPreferencesSchema, { mode: "night", onBattery: true, hours: { from: -1, to: 5 } }),
		).toEqual({
			...usualPreferences,
			onBattery: true,
		});
	});
});
