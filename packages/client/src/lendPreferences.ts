import * as v from "valibot";

/** Minutes of a local day. */
const dayMinutes = 24 * 60;
/** Snoozing is for an hour; what a file or another tab says is longer is not believed. */
const longestSnoozeMs = 24 * 60 * 60_000;

const minuteOfDay = v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(dayMinutes - 1));

/** As they are kept on the device; whatever else lies there is replaced by what is usual. */
export const lendPreferencesSchema = v.object({
	mode: v.fallback(v.picklist(["always", "preferences"]), "preferences"),
	onBattery: v.fallback(v.boolean(), false),
	onMetered: v.fallback(v.boolean(), false),
	onlyWhenIdle: v.fallback(v.boolean(), false),
	hours: v.fallback(v.nullable(v.object({ from: minuteOfDay, to: minuteOfDay })), null),
	computeShare: v.fallback(v.pipe(v.number(), v.minValue(0.1), v.maxValue(1)), 1),
	givesLayers: v.fallback(v.boolean(), true),
	snoozedUntil: v.fallback(v.nullable(v.number()), null),
});

/** When and how much of this device is lent, as its owner wishes. The same for all tabs of an origin. */
export interface LendPreferences {
	/** `always`: only a snooze stops it; `preferences`: as the rest of this says. */
	readonly mode: "always" | "preferences";
	/** Whether it goes on while a battery drains. */
	readonly onBattery: boolean;
	/** Whether it goes on where each byte may cost the owner. */
	readonly onMetered: boolean;
	/** Whether it waits until nobody uses the device. */
	readonly onlyWhenIdle: boolean;
	/**
	 * Local times between which it runs, in minutes since midnight, the second not included; over midnight where the second is the
	 * smaller; all day where both are the same, and where it is null.
	 */
	readonly hours: { readonly from: number; readonly to: number } | null;
	/** Of its processor's or graphics' time, how much is lent, 0.1 to 1: the rest of the time it stands still between two steps. */
	readonly computeShare: number;
	/** Whether layers that are kept here are given to other devices, too. */
	readonly givesLayers: boolean;
	/** In milliseconds since 1970; null when it is not snoozed. */
	readonly snoozedUntil: number | null;
}

/** What volunteers expect of a program that they have just installed: not on battery, not where it costs, else always. */
export const usualPreferences: LendPreferences = v.parse(lendPreferencesSchema, {});

/** What decides, as far as the device tells. */
export interface DeviceState {
	readonly power: "plugged" | "battery" | "unknown";
	/** Whether each byte may cost the owner; undefined where the browser does not say. */
	readonly metered: boolean | undefined;
	/** Whether nobody uses it. */
	readonly idle: boolean;
	/** What `idle` is about: the whole device, or no more than this page. */
	readonly idleOf: "device" | "page";
}

/** Why a lender stands still by its owner's preferences. */
export type RestReason = "snoozed" | "hours" | "battery" | "metered" | "in-use";

export interface LendVerdict {
	/** What is in the way; undefined when it may run. */
	readonly why: RestReason | undefined;
	/** When the clock alone may change this, in milliseconds since 1970; undefined when it does not. */
	readonly until: number | undefined;
}

/**
 * Whether a device lends now. What it does not tell about itself never stops it.
 *
 * @param now - milliseconds since 1970
 */
export function mayLend(
	preferences: LendPreferences,
	device: Pick<DeviceState, "idle" | "metered" | "power">,
	now: number,
): LendVerdict {
	const { mode, snoozedUntil, hours, onBattery, onMetered, onlyWhenIdle } = preferences;
	if (snoozedUntil !== null && snoozedUntil > now && snoozedUntil <= now + longestSnoozeMs)
		return { why: "snoozed", until: snoozedUntil };
	if (mode === "always") return { why: undefined, until: undefined };
	const { open, until } = openAt(hours, now);
	if (!open) return { why: "hours", until };
	if (!onBattery && device.power === "battery") return { why: "battery", until };
	if (!onMetered && device.metered === true) return { why: "metered", until };
	if (onlyWhenIdle && !device.idle) return { why: "in-use", until };
	return { why: undefined, until };
}

function openAt(hours: LendPreferences["hours"], now: number): { open: boolean; until: number | undefined } {
	if (hours === null || hours.from === hours.to) return { open: true, until: undefined };
	const { from, to } = hours;
	const time = new Date(now);
	const minute = time.getHours() * 60 + time.getMinutes();
	const open = from < to ? from <= minute && minute < to : from <= minute || minute < to;
	const next = open ? to : from;
	const until = new Date(now);
	until.setHours(0, next, 0, 0);
	if (until.getTime() <= now) {
		until.setDate(until.getDate() + 1);
		until.setHours(0, next, 0, 0);
	}
	return { open, until: until.getTime() };
}
