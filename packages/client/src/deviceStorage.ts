import type { Degradation } from "@tabmesh/r1fs";

/** Whoever gave bytes that are kept here. */
export interface KeptSource {
	/**
	 * `device`: it was added here; `peer`: another device gave it; `web`: a server did; `unknown`: it was kept before anybody wrote
	 * down where from.
	 */
	readonly kind: "device" | "peer" | "web" | "unknown";
	/** Peer id, or address on the web; empty for the other kinds. */
	readonly name: string;
	readonly bytes: number;
}

/** A model, as far as it is kept here, or a file. */
export interface KeptThing {
	/** Id of the model, CID of the file. */
	readonly id: string;
	readonly kind: "model" | "file";
	/** For people; undefined where it has none. */
	readonly name: string | undefined;
	/** Bytes that it takes here. */
	readonly bytes: number;
	/** Bytes of all of it; undefined where nobody knows. */
	readonly wholeBytes: number | undefined;
	/** Blocks that are here. */
	readonly blocks: number;
	/** Whether it stays until it is freed, whatever else needs room. */
	readonly pinned: boolean;
	/** Whether a tab of this device lends or reads it now: then it cannot be freed. */
	readonly inUse: boolean;
	/** When it was added or last used, in milliseconds since 1970. */
	readonly usedAt: number;
	/** Largest first; their bytes are all of `bytes`. */
	readonly from: readonly KeptSource[];
}

/** What this device keeps, in bytes. */
export interface StorageView {
	/** Largest first. A block that two of them have counts for both. */
	readonly kept: readonly KeptThing[];
	/** Bytes that belong to nothing: left over where storing was cut off. */
	readonly looseBytes: number;
	/** All that is kept on disk. */
	readonly usedBytes: number;
	/** Of those, what is pinned. */
	readonly pinnedBytes: number;
	/** What the user allows. */
	readonly budgetBytes: number;
	/** What the browser gives this site, or what the disk has; undefined where nobody says. */
	readonly quotaBytes: number | undefined;
	/** What this site takes in all, its own pages included; undefined where nobody says. */
	readonly originBytes: number | undefined;
	/** Whether the browser promised not to clear it by itself. */
	readonly persisted: boolean;
	/** Bytes that are kept in memory only, because the disk took no more. */
	readonly memoryBytes: number;
	/** Why, in a sentence with numbers. */
	readonly degraded: Degradation | undefined;
}

export interface DeviceStorageEvents {
	/** Something was kept or freed, here or by another tab, or a setting changed. */
	change: Event;
}

/** What this device keeps between visits, and the say over it. The same for all tabs of an origin. */
export interface DeviceStorage {
	/** What is kept now. */
	view(): Promise<StorageView>;
	/**
	 * Bytes that may be kept, from now on. What no longer fits goes at once, longest unused first; pinned files stay.
	 *
	 * @throws InvalidParameterError
	 */
	setBudget(bytes: number): Promise<void>;
	/** Asks the browser not to clear this site by itself. @returns whether it agreed */
	persist(): Promise<boolean>;
	/**
	 * Frees one model or file.
	 *
	 * @returns the bytes that became free
	 * @throws StorageInUseError while a tab of this device lends or reads it
	 */
	free(id: string): Promise<number>;
	/** Frees all that is neither pinned nor in use. @returns the bytes that became free */
	freeUnused(): Promise<number>;
	addEventListener<K extends keyof DeviceStorageEvents>(
		type: K,
		listener: (event: DeviceStorageEvents[K]) => void,
	): void;
	removeEventListener<K extends keyof DeviceStorageEvents>(
		type: K,
		listener: (event: DeviceStorageEvents[K]) => void,
	): void;
}
