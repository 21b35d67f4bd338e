import "fake-indexeddb/auto";
import { afterEach, expect, test, vi } from "vitest";
import { openIdentity } from "./openIdentity.browser.ts";

// Node has Web Locks and WebCrypto of its own; only the database is a stand-in here. e2e runs the same in Chromium.
afterEach(() => vi.unstubAllGlobals());

test("two live pages are two peers, and the next page gets the freed slot's key back", async () => {
	const first = await openIdentity();
	const second = await openIdentity();
	expect(first.persistent && second.persistent).toBe(true);
	expect(second.peer).not.toBe(first.peer);
	await first.release();
	const third = await openIdentity();
	expect(third.peer).toBe(first.peer);
	await Promise.all([second.release(), third.release()]);
	const again = await openIdentity();
	expect(again.peer).toBe(first.peer);
	await again.release();
});

test("a page that may keep nothing still gets an identity, and says that it will not last", async () => {
	vi.stubGlobal("indexedDB", {
		open() {
			throw new DOMException("denied", "SecurityError");
		},
	});
	const one = await openIdentity();
	const two = await openIdentity();
	expect(one.persistent || two.persistent).toBe(false);
	expect(one.peer).not.toBe(two.peer);
	await Promise.all([one.release(), two.release()]);
});

test("a browser without Ed25519 in WebCrypto gets a key that signs all the same", async () => {
	vi.stubGlobal("indexedDB", undefined);
	vi.spyOn(crypto.subtle, "generateKey").mockRejectedValue(new DOMException("no", "NotSupportedError"));
	const identity = await openIdentity();
	vi.restoreAllMocks();
	const bytes = new TextEncoder().encode("signed");
	expect(await identity.privateKey.publicKey.verify(bytes, await identity.sign(bytes))).toBe(true);
	expect(() => identity.privateKey.raw).toThrow();
	await identity.release();
});
