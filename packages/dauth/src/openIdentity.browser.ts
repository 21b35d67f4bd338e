import { type DBSchema, openDB } from "idb";
import type { PeerIdentity } from "./identity.ts";
import type { OpenIdentityOptions } from "./openIdentity.ts";
import { identityOf } from "./signingIdentity.ts";
import { generateSigningKey, isSigningKey, type SigningKey } from "./signingKey.ts";

export type { OpenIdentityOptions };

interface KeyDatabase extends DBSchema {
	slots: { key: number; value: SigningKey };
}

const databaseName = "tabmesh-keys";

// More live pages of one origin than any device runs; a page beyond them gets a key of its own in memory.
const slotLimit = 256;

// The slot this tab had last, so that a reload gets its own key back even when a lower slot became free meanwhile.
const lastSlotItem = "tabmesh:key-slot";

export async function openIdentity(_options: OpenIdentityOptions = {}): Promise<PeerIdentity> {
	const held = await takeSlot();
	if (held) {
		const key = await slotKey(held.slot);
		if (key) return identityOf(key, { persistent: true, release: held.release });
		held.release();
	}
	return identityOf(await generateSigningKey(), { persistent: false });
}

interface HeldSlot {
	slot: number;
	release(): void;
}

async function takeSlot(): Promise<HeldSlot | undefined> {
	// No locks on plain HTTP. Without them two tabs would take one key and look like one peer.
	if (!navigator.locks) return undefined;
	const last = lastSlot();
	const held = last === undefined ? undefined : await lockSlot(last);
	if (held) return held;
	for (let slot = 0; slot < slotLimit; slot++) {
		const free = await lockSlot(slot);
		if (free) {
			rememberSlot(slot);
			return free;
		}
	}
	return undefined;
}

function lockSlot(slot: number): Promise<HeldSlot | undefined> {
	return new Promise((resolve) => {
		navigator.locks
			.request(`tabmesh:key-slot:${slot}`, { ifAvailable: true }, (lock) => {
				if (!lock) return resolve(undefined);
				// The lock lasts until this promise settles, or the page goes away.
				return new Promise<void>((release) => resolve({ slot, release }));
			})
			.catch(() => resolve(undefined));
	});
}

/** The key of a slot, made at its first use; undefined where the browser does not keep it. */
async function slotKey(slot: number): Promise<SigningKey | undefined> {
	try {
		const database = await openDB<KeyDatabase>(databaseName, 1, {
			upgrade: (fresh) => void fresh.createObjectStore("slots"),
		});
		try {
			const kept = await database.get("slots", slot);
			if (kept && (await isSigningKey(kept))) return kept;
			const key = await generateSigningKey();
			await database.put("slots", key, slot);
			return key;
		} finally {
			database.close();
		}
	} catch {
		// Private windows and blocked site data: opening fails, or a CryptoKey cannot be cloned into the store.
		return undefined;
	}
}

function lastSlot(): number | undefined {
	try {
		const text = sessionStorage.getItem(lastSlotItem);
		const slot = text === null ? Number.NaN : Number(text);
		return Number.isInteger(slot) && slot >= 0 && slot < slotLimit ? slot : undefined;
	} catch {
		return undefined;
	}
}

function rememberSlot(slot: number): void {
	try {
		sessionStorage.setItem(lastSlotItem, String(slot));
	} catch {
		// Only a preference: without it a reload takes the lowest free slot, which is nearly always its own.
	}
}
