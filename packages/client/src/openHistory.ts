import { type DeviceHistory, KeptHistory } from "./deviceHistory.ts";

export type * from "./deviceHistory.ts";

/** The history of this device alone: no network is reached. */
export interface OpenedHistory extends DeviceHistory {
	close(): Promise<void>;
}

/**
 * Looks at what this device did so far without joining anything.
 *
 * @example
 * ```ts
 * import { openHistory } from "@tabmesh/client/history";
 * const history = openHistory();
 * for (const { day, tokens } of (await history.view()).days) console.log(day, tokens);
 * await history.close();
 * ```
 */
export function openHistory(): OpenedHistory {
	return new KeptHistory();
}
