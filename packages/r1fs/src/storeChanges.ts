/** Listeners of one store, told of what changed here and of what other tabs say changed. */
export interface StoreChanges {
	/** Something changed here. */
	note(): void;
	watch(listener: () => void): () => void;
	close(): void;
}

/** Changes are told of together, this often at most: who draws them reads the whole store each time. */
const tellEveryMs = 250;

/** The channel of all tabs that have a place open. */
export function changesChannel(place: string): string {
	return `${place}:changes`;
}

/** @param channel - shared by all tabs that have the place open; without it changes stay in this one */
export function createStoreChanges(channel?: string): StoreChanges {
	const listeners = new Set<() => void>();
	const others = channel === undefined ? undefined : new BroadcastChannel(channel);
	// In Node a channel would keep the program alive.
	(others as { unref?: () => void } | undefined)?.unref?.();
	let timer: ReturnType<typeof setTimeout> | undefined;
	let ours = false;

	function tellSoon(): void {
		timer ??= setTimeout(tell, tellEveryMs);
	}

	function tell(): void {
		clearTimeout(timer);
		timer = undefined;
		if (ours) others?.postMessage("change");
		ours = false;
		for (const listener of listeners) listener();
	}

	if (others) others.onmessage = tellSoon;

	return {
		note() {
			ours = true;
			tellSoon();
		},
		watch(listener) {
			listeners.add(listener);
			return () => listeners.delete(listener);
		},
		close() {
			if (timer !== undefined) tell();
			listeners.clear();
			others?.close();
		},
	};
}
