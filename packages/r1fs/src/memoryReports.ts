import * as v from "valibot";
import type { Degradation } from "./blockStore.ts";

/** What one tab keeps in memory because there was no other room. */
export interface MemoryReport {
	readonly memoryBytes: number;
	readonly degraded: Degradation | undefined;
}

const countSchema = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const reportSchema = v.strictObject({
	memoryBytes: countSchema,
	degraded: v.optional(
		v.strictObject({
			reason: v.picklist(["quota", "denied"]),
			message: v.pipe(v.string(), v.maxLength(1024)),
			since: countSchema,
		}),
	),
});

/** Says to the other tabs of an origin what this one keeps in its memory, for as long as it lives. */
export interface MemoryReports {
	say(report: MemoryReport): void;
	others(): Promise<MemoryReport[]>;
	close(): void;
}

/**
 * A report is the name of a Web Lock that its tab holds: it can be read at once, without waiting for tabs that sleep, and is gone
 * with its tab. Where there are no Web Locks each tab knows of its own only.
 *
 * @param place - the same for all tabs that have the place open
 */
export function createMemoryReports(place: string): MemoryReports {
	const locks = globalThis.navigator?.locks;
	const prefix = `${place}:memory:`;
	const tab = crypto.randomUUID();
	let end = (): void => {};
	let closed = false;

	return {
		say(report) {
			end();
			end = () => {};
			if (!locks || closed || (report.memoryBytes === 0 && !report.degraded)) return;
			const done = Promise.withResolvers<void>();
			const name = `${prefix}${tab}:${JSON.stringify(report)}`;
			locks.request(name, () => done.promise).catch(() => {});
			end = done.resolve;
		},
		async others() {
			const { held = [] } = (await locks?.query().catch(() => ({ held: [] }))) ?? {};
			const others = new Map<string, MemoryReport>();
			for (const { name } of held) {
				if (!name?.startsWith(prefix)) continue;
				const teller = name.slice(prefix.length, prefix.length + tab.length);
				const report = reportOf(name.slice(prefix.length + tab.length + 1));
				if (teller !== tab && report) others.set(teller, report);
			}
			return [...others.values()];
		},
		close() {
			closed = true;
			end();
		},
	};
}

/** Every page of the origin may take locks of any name. */
function reportOf(text: string): MemoryReport | undefined {
	try {
		const { memoryBytes, degraded } = v.parse(reportSchema, JSON.parse(text));
		return { memoryBytes, degraded };
	} catch {
		return undefined;
	}
}
