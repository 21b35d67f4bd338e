import type { Keepsakes } from "./keepsakes.ts";

/** Keepsakes that last as long as this page or process. */
export function createMemoryKeepsakes(): Keepsakes {
	const kept = new Map<string, Uint8Array>();
	return {
		persistent: false,
		read: async (name) => kept.get(name)?.slice(),
		async create(name, bytes) {
			if (kept.has(name)) return false;
			kept.set(name, bytes.slice());
			return true;
		},
		write: async (name, bytes) => void kept.set(name, bytes.slice()),
		remove: async (name) => void kept.delete(name),
		deviceKey: async () => undefined,
	};
}
