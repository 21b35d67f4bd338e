import { type DBSchema, type IDBPDatabase, openDB } from "idb";
import { TypedEventEmitter } from "main-event";

/** A year, and what people call a year. Older days live on in the totals. */
const keptDays = 400;
const dayMinutes = 24 * 60;
const noHours: readonly number[] = Array<number>(24).fill(0);
const databaseName = "tabmesh-history";
/** Of the records below. Whoever changes them adds a step to `upgrade`. */
const schemaVersion = 1;

/** What this device did on one day, all of its tabs together. */
export interface LendingDay {
	/** Local, as in `2026-11-22`. */
	readonly day: string;
	/** Positions computed, prompt and answer. */
	readonly tokens: number;
	/** For each of the 24 local hours, in how many of its minutes a tab of this device served. */
	readonly hours: readonly number[];
	/** All of them. */
	readonly minutes: number;
}

export interface LendingTotals {
	readonly tokens: number;
	/** Minutes in which a tab of this device served. */
	readonly minutes: number;
	/** The first day; undefined before there was one. */
	readonly since: string | undefined;
}

export interface HistoryView {
	/** The oldest first; days without anything are left out. */
	readonly days: readonly LendingDay[];
	readonly today: LendingDay;
	/** In how many of the latest 60 minutes a tab of this device served. */
	readonly lastHour: number;
	/** Of all days, also of those that are kept no more. */
	readonly ever: LendingTotals;
}

export interface DeviceHistoryEvents {
	/** Something was added, here or by another tab. */
	change: Event;
}

/** What this device did, day by day: kept on the device alone, never sent anywhere. */
export interface DeviceHistory {
	view(): Promise<HistoryView>;
	addEventListener<K extends keyof DeviceHistoryEvents>(
		type: K,
		listener: (event: DeviceHistoryEvents[K]) => void,
	): void;
	removeEventListener<K extends keyof DeviceHistoryEvents>(
		type: K,
		listener: (event: DeviceHistoryEvents[K]) => void,
	): void;
}

interface DayRecord {
	day: string;
	tokens: number;
	/** One bit for each minute: two tabs that serve in one minute are one minute of this device. */
	minutes: Uint8Array<ArrayBuffer>;
}

interface TotalsRecord {
	tokens: number;
	minutes: number;
	since: string;
}

interface HistoryDatabase extends DBSchema {
	days: { key: string; value: DayRecord };
	totals: { key: "ever"; value: TotalsRecord };
}

/** What a tab adds to the history: the tokens it computed, and that it served in this minute. */
export interface HistoryEntry {
	readonly tokens: number;
	readonly served: boolean;
	/** In milliseconds since 1970. */
	readonly at: number;
}

export class KeptHistory extends TypedEventEmitter<DeviceHistoryEvents> implements DeviceHistory {
	readonly #database: Promise<IDBPDatabase<HistoryDatabase> | undefined>;
	readonly #channel: BroadcastChannel | undefined;
	/** Where the browser keeps nothing, and in Node: until the page is closed. */
	readonly #days = new Map<string, DayRecord>();
	#ever: TotalsRecord | undefined;

	/** @param name - of the database */
	constructor(name: string = databaseName) {
		super();
		this.#database = openDatabase(name);
		if ("document" in globalThis && "BroadcastChannel" in globalThis) {
			this.#channel = new BroadcastChannel(name);
			this.#channel.onmessage = () => this.dispatchEvent(new Event("change"));
		}
	}

	async view(): Promise<HistoryView> {
		const database = await this.#database;
		const [records, ever] = database ? await readAll(database) : [[...this.#days.values()], this.#ever];
		const now = new Date();
		const known = new Map(records.filter(isDay).map((record) => [record.day, record]));
		const days = [...known.values()].map(lendingDay).toSorted((a, b) => (a.day < b.day ? -1 : 1));
		const today = dayOf(now);
		return {
			days,
			today: days.find(({ day }) => day === today) ?? { day: today, tokens: 0, hours: noHours, minutes: 0 },
			lastHour: servedBefore(now, known),
			ever: ever ?? { tokens: 0, minutes: 0, since: undefined },
		};
	}

	/** Adds to what is there in one transaction, so that tabs that add at the same time lose nothing. */
	async add({ tokens, served, at }: HistoryEntry): Promise<void> {
		const time = new Date(at);
		const day = dayOf(time);
		const minute = served ? time.getHours() * 60 + time.getMinutes() : undefined;
		const database = await this.#database;
		if (!database) {
			const { record, ever } = added(this.#days.get(day), this.#ever, { day, tokens, minute });
			this.#days.set(day, record);
			this.#ever = ever;
		} else {
			const transaction = database.transaction(["days", "totals"], "readwrite");
			const days = transaction.objectStore("days");
			const totals = transaction.objectStore("totals");
			const [before, everBefore] = await Promise.all([days.get(day), totals.get("ever")]);
			const { record, ever } = added(before, everBefore, { day, tokens, minute });
			const writes: Promise<unknown>[] = [days.put(record), totals.put(ever, "ever")];
			if (!before) {
				const keys = await days.getAllKeys();
				const old = [...new Set([...keys, day])].toSorted().slice(0, -keptDays);
				writes.push(...old.map((key) => days.delete(key)));
			}
			await Promise.all([...writes, transaction.done]);
		}
		this.#channel?.postMessage("added");
		this.dispatchEvent(new Event("change"));
	}

	async close(): Promise<void> {
		this.#channel?.close();
		(await this.#database)?.close();
	}
}

/** The local day that a time lies in, as in `2026-11-22`. */
function dayOf(time: Date): string {
	const two = (value: number): string => String(value).padStart(2, "0");
	return `${time.getFullYear()}-${two(time.getMonth() + 1)}-${two(time.getDate())}`;
}

async function openDatabase(name: string): Promise<IDBPDatabase<HistoryDatabase> | undefined> {
	if (!("indexedDB" in globalThis)) return undefined;
	try {
		const database = await openDB<HistoryDatabase>(name, schemaVersion, {
			upgrade(fresh, before) {
				if (before < 1) {
					fresh.createObjectStore("days", { keyPath: "day" });
					fresh.createObjectStore("totals");
				}
			},
			// A newer version in another tab must not wait for this one.
			blocking: () => database.close(),
		});
		return database;
	} catch {
		// Private windows, blocked site data, and a version that is newer than this page.
		return undefined;
	}
}

async function readAll(
	database: IDBPDatabase<HistoryDatabase>,
): Promise<[DayRecord[], TotalsRecord | undefined]> {
	const transaction = database.transaction(["days", "totals"], "readonly");
	return Promise.all([
		transaction.objectStore("days").getAll(),
		transaction.objectStore("totals").get("ever"),
	]);
}

function servedBefore(now: Date, days: ReadonlyMap<string, DayRecord>): number {
	let served = 0;
	for (let ago = 0; ago < 60; ago++) {
		const time = new Date(now.getTime() - ago * 60_000);
		const minutes = days.get(dayOf(time))?.minutes;
		if (minutes && isServed(minutes, time.getHours() * 60 + time.getMinutes())) served++;
	}
	return served;
}

function isServed(minutes: Uint8Array, minute: number): boolean {
	return (minutes[minute >> 3]! & (1 << (minute % 8))) !== 0;
}

/** Whether a record is one of ours: site data can be written by whoever opens the browser's tools. */
function isDay({ day, tokens, minutes }: DayRecord): boolean {
	return (
		/^\d{4}-\d{2}-\d{2}$/.test(day) &&
		Number.isFinite(tokens) &&
		minutes instanceof Uint8Array &&
		minutes.length === dayMinutes / 8
	);
}

function added(
	before: DayRecord | undefined,
	everBefore: TotalsRecord | undefined,
	entry: { day: string; tokens: number; minute: number | undefined },
): { record: DayRecord; ever: TotalsRecord } {
	const { day, tokens, minute } = entry;
	const known = before && isDay(before) ? before : undefined;
	const record: DayRecord = {
		day,
		tokens: (known?.tokens ?? 0) + tokens,
		minutes: known ? known.minutes.slice() : new Uint8Array(dayMinutes / 8),
	};
	let fresh = 0;
	if (minute !== undefined) {
		if (!isServed(record.minutes, minute)) fresh = 1;
		record.minutes[minute >> 3]! |= 1 << (minute % 8);
	}
	const ever = {
		tokens: (everBefore?.tokens ?? 0) + tokens,
		minutes: (everBefore?.minutes ?? 0) + fresh,
		since: everBefore?.since ?? day,
	};
	return { record, ever };
}

function lendingDay({ day, tokens, minutes }: DayRecord): LendingDay {
	const hours = Array<number>(24).fill(0);
	for (let minute = 0; minute < dayMinutes; minute++) {
		if (isServed(minutes, minute)) hours[Math.floor(minute / 60)]!++;
	}
	return { day, tokens, hours, minutes: hours.reduce((sum, each) => sum + each, 0) };
}
