import "fake-indexeddb/auto";
import { afterEach, expect, test, vi } from "vitest";
import { keptWallet, openEmbeddedWallet } from "./index.ts";
import { openKeepsakes } from "./openKeepsakes.browser.ts";

// Only the database is a stand-in here: WebCrypto is Node's own, and e2e runs the same in Chromium.
afterEach(() => vi.unstubAllGlobals());

test("two pages share one wallet, which is kept under a key that cannot be read out", async () => {
	const [a, b] = await Promise.all([openKeepsakes(), openKeepsakes()]);
	const wallets = await Promise.all([openEmbeddedWallet(a), openEmbeddedWallet(b)]);
	expect(wallets[0].address).toBe(wallets[1].address);
	expect(await keptWallet(a)).toEqual({ address: wallets[0].address, locked: false });
	const phrase = await wallets[0].exportPhrase();
	const kept = Buffer.from((await a.read("wallet"))!);
	for (const word of phrase.split(" ")) if (word.length > 4) expect(kept.includes(word)).toBe(false);
	const key = await a.deviceKey();
	expect(key?.extractable).toBe(false);
	await expect(crypto.subtle.exportKey("raw", key!)).rejects.toThrow();
	expect((await openEmbeddedWallet(await openKeepsakes())).address).toBe(wallets[0].address);
	await a.remove("wallet");
	expect(await keptWallet(b)).toBeUndefined();
});

test("a page that may keep nothing still gets a wallet, and says that it will not last", async () => {
	vi.stubGlobal("indexedDB", {
		open() {
			throw new DOMException("denied", "SecurityError");
		},
	});
	const wallet = await openEmbeddedWallet(await openKeepsakes());
	expect(wallet).toMatchObject({ fresh: true, persistent: false });
});
