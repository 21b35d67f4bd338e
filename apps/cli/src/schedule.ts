import { InvalidParameterError } from "@tabmesh/wire";

/** A time of every day, in minutes after midnight of the local clock; over midnight where `to` is the smaller one. */
export interface Schedule {
	readonly from: number;
	/** Not in it any more. */
	readonly to: number;
}

const minutesPerDay = 1440;

/**
 * A time of day from `22:00-07:00`.
 *
 * @throws InvalidParameterError
 */
export function parseSchedule(text: string, option: string): Schedule {
	const match = /^(\d{1,2}):(\d{2})\s*[-–]\s*(\d{1,2}):(\d{2})$/.exec(text.trim());
	const [from, to] = [minuteOf(match?.[1], match?.[2]), minuteOf(match?.[3], match?.[4])];
	if (from === undefined || to === undefined) {
		throw new InvalidParameterError(
			`${option} takes a time of day, such as 22:00-07:00, not "${text.slice(0, 64)}".`,
			{ details: { option } },
		);
	}
	if (from === to) {
		throw new InvalidParameterError(`${option} ends when it begins: "${text.slice(0, 64)}".`, {
			details: { option },
			metaMessages: ["Leave it out to lend all day."],
		});
	}
	return { from, to };
}

/** 24:00 is midnight, as a day's end. */
function minuteOf(hours: string | undefined, minutes: string | undefined): number | undefined {
	const [hour, minute] = [Number(hours), Number(minutes)];
	if (!(minute < 60 && (hour < 24 || (hour === 24 && minute === 0)))) return undefined;
	return (hour * 60 + minute) % minutesPerDay;
}

/**
 * Whether a moment lies in the schedule, and when that next changes. Both go by the local clock, on the days on which it
 * is put forward or back as well.
 */
export function scheduleAt({ from, to }: Schedule, now: Date): { open: boolean; changes: Date } {
	const minute = now.getHours() * 60 + now.getMinutes();
	const open = from < to ? from <= minute && minute < to : from <= minute || minute < to;
	const next = open ? to : from;
	const day = now.getDate() + (next > minute ? 0 : 1);
	const changes = new Date(now.getFullYear(), now.getMonth(), day, 0, next);
	// An hour that comes twice is taken for its first time, which may be over.
	const isOver = changes <= now;
	return {
		open,
		changes: isOver ? new Date(now.getTime() - (now.getTime() % 60_000) + (next - minute) * 60_000) : changes,
	};
}
