import { StorageInUseError } from "@tabmesh/wire";

/** What is in use now and must not be removed meanwhile. */
export interface Holds {
	/** In use until the returned function is called, or the tab is gone. */
	hold(whole: string): () => void;
	/** What is in use, here and in other tabs. */
	held(): Promise<ReadonlySet<string>>;
	/** Does `work` while nobody uses `whole`. @throws StorageInUseError */
	alone<T>(whole: string, work: () => Promise<T>): Promise<T>;
}

interface Hold {
	holders: number;
	readonly end: () => void;
}

/**
 * Uses of what is kept at a place. A use is a shared Web Lock, so it ends with its tab, however that ends; removing takes
 * the lock alone. Where there are no Web Locks only this tab's uses count.
 *
 * @param place - the same for all that have the place open
 */
export function createHolds(place: string): Holds {
	const ours = new Map<string, Hold>();
	const locks = globalThis.navigator?.locks;
	const prefix = `${place}:use:`;

	return {
		hold(whole) {
			const known = ours.get(whole);
			const hold = known ?? { holders: 0, end: take(whole) };
			if (!known) ours.set(whole, hold);
			hold.holders++;
			let ended = false;
			return () => {
				if (ended) return;
				ended = true;
				if (--hold.holders > 0) return;
				ours.delete(whole);
				hold.end();
			};
		},
		async held() {
			const held = new Set(ours.keys());
			const { held: everywhere = [] } = (await locks?.query().catch(() => ({ held: [] }))) ?? {};
			for (const { name, mode } of everywhere) {
				if (mode === "shared" && name?.startsWith(prefix)) held.add(name.slice(prefix.length));
			}
			return held;
		},
		async alone(whole, work) {
			if (ours.has(whole)) throw inUse(whole);
			if (!locks) return work();
			let denied = true;
			const removal = locks.request(prefix + whole, { ifAvailable: true }, async (lock) => {
				denied = false;
				if (!lock) throw inUse(whole);
				return work();
			});
			// A sandboxed document may take no locks; it shares nothing with other tabs, either.
			return removal.catch((error) => (denied ? work() : Promise.reject(error)));
		},
	};

	function take(whole: string): () => void {
		if (!locks) return () => {};
		const done = Promise.withResolvers<void>();
		// Refused where the document is going away: then it uses nothing any more.
		locks.request(prefix + whole, { mode: "shared" }, () => done.promise).catch(() => {});
		return done.resolve;
	}
}

function inUse(whole: string): StorageInUseError {
	return new StorageInUseError("This is in use on this device right now, so it stays.", {
		metaMessages: ["Leave, or close the tab that lends it, and free it then."],
		details: { whole },
	});
}
