import { FloodError, StageBusyError } from "@tabmesh/wire";

/** Answers that run at once for one site: somebody reads one, and a second is prepared. */
const answersAtOnce = 2;
/** Questions of one site within a minute: more than anybody types, enough for a page that asks in steps. */
const promptsPerMinute = 20;
const minuteMs = 60_000;
/** How soon a place is asked for again; an answer takes seconds. */
const busyRetryMs = 2_000;

const timesItem = "tabmesh:embed-prompts";

/** What was asked lately by all frames that one site opened; where the browser keeps nothing, by this one. */
let ownTimes: number[] = [];

function readTimes(): number[] {
	try {
		const kept: unknown = JSON.parse(localStorage.getItem(timesItem) ?? "[]");
		return Array.isArray(kept) ? kept.filter((time) => typeof time === "number") : [];
	} catch {
		return ownTimes;
	}
}

function writeTimes(times: number[]): void {
	ownTimes = times;
	try {
		localStorage.setItem(timesItem, JSON.stringify(times));
	} catch {
		// This frame remembers.
	}
}

/** @throws FloodError when this site asked as often as it may within a minute */
async function countPrompt(): Promise<void> {
	await navigator.locks.request("tabmesh:embed-prompts", () => {
		const now = Date.now();
		// A clock that was set back must not lock anybody out.
		const times = readTimes().filter((time) => time <= now && now - time < minuteMs);
		if (times.length >= promptsPerMinute) {
			const retryAfterMs = minuteMs - (now - Math.min(...times));
			throw new FloodError(`This site asked ${promptsPerMinute} times within a minute.`, {
				details: { retryAfterMs },
			});
		}
		writeTimes([...times, now]);
	});
}

/**
 * Runs one answer if this site may ask one now: frames of one site share what they may, since the browser parts their locks and storage
 * by the site around them. However many frames a page opens, it asks no more for it.
 *
 * @throws StageBusyError when two answers of this site run, FloodError; both with `details.retryAfterMs`
 */
export async function gatePrompt<T>(answer: () => Promise<T>): Promise<T> {
	for (let place = 0; place < answersAtOnce; place++) {
		const ran = await navigator.locks.request(
			`tabmesh:embed-answer:${place}`,
			{ ifAvailable: true },
			async (lock) => {
				if (!lock) return undefined;
				await countPrompt();
				return { value: await answer() };
			},
		);
		if (ran) return ran.value;
	}
	throw new StageBusyError(`${answersAtOnce} answers of this site are being written.`, {
		details: { retryAfterMs: busyRetryMs },
	});
}
