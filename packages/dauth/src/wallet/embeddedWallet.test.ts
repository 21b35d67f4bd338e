import { inspect } from "node:util";
import {
	decodeCbor,
	KeyStorageError,
	RecoveryPhraseError,
	WalletExistsError,
	WrongPassphraseError,
	walletRecordSchema,
} from "@tabmesh/wire";
import { recoverMessageAddress } from "viem";
import { describe, expect, test } from "vitest";
import { createMemoryKeepsakes, importEmbeddedWallet, keptWallet, openEmbeddedWallet } from "./index.ts";

// The phrase of every local test chain, and its first account: known to all wallets.
const phrase = "test test test test test test test test test test test junk";
const address = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266";
// The default takes seconds on a busy machine; one test pays for it.
const scryptN = 2 ** 12;

describe("the embedded wallet", () => {
	test("is made on first use and is the same one ever after", async () => {
		const keepsakes = createMemoryKeepsakes();
		expect(await keptWallet(keepsakes)).toBeUndefined();
		const first = await openEmbeddedWallet(keepsakes);
		expect(first.fresh).toBe(true);
		expect(await keptWallet(keepsakes)).toMatchObject({ locked: false });
		const again = await openEmbeddedWallet(keepsakes);
		expect(again).toMatchObject({ fresh: false, address: first.address });
		const signature = await again.signMessage("hello");
		expect(await recoverMessageAddress({ message: "hello", signature })).toBe(first.address);
	});

	test("is one wallet for two pages that make it at the same moment", async () => {
		const keepsakes = createMemoryKeepsakes();
		const wallets = await Promise.all([openEmbeddedWallet(keepsakes), openEmbeddedWallet(keepsakes)]);
		expect(wallets[0].address).toBe(wallets[1].address);
		expect(wallets.filter(({ fresh }) => fresh)).toHaveLength(1);
	});

	test("comes from the recovery phrase as in every other wallet, however it is typed", async () => {
		const keepsakes = createMemoryKeepsakes();
		const wallet = await importEmbeddedWallet(keepsakes, `  ${phrase.toUpperCase().replaceAll(" ", "\n ")} `);
		expect(wallet.address).toBe(address);
		expect(await wallet.exportPhrase()).toBe(phrase);
		const moved = await importEmbeddedWallet(createMemoryKeepsakes(), await wallet.exportPhrase());
		expect(moved.address).toBe(address);
	});

	test("is not replaced by an import that does not say so", async () => {
		const keepsakes = createMemoryKeepsakes();
		const { address: first } = await openEmbeddedWallet(keepsakes);
		await expect(importEmbeddedWallet(keepsakes, phrase)).rejects.toThrow(WalletExistsError);
		expect((await openEmbeddedWallet(keepsakes)).address).toBe(first);
		await importEmbeddedWallet(keepsakes, phrase, { replace: true });
		expect((await openEmbeddedWallet(keepsakes)).address).toBe(address);
	});

	test("refuses words that are no recovery phrase, and never repeats them in the error", async () => {
		for (const words of ["", "test", phrase.replace("junk", "test"), phrase.replace("junk", "jünk")]) {
			const failure = await importEmbeddedWallet(createMemoryKeepsakes(), words).catch((error) => error);
			expect(failure).toBeInstanceOf(RecoveryPhraseError);
			if (words) expect(JSON.stringify({ ...failure, message: failure.message })).not.toContain(words);
		}
	});

	test("under a passphrase opens with it, and with no other and with none it does not", async () => {
		const keepsakes = createMemoryKeepsakes();
		const progress: number[] = [];
		const onProgress = (done: number) => void progress.push(done);
		const made = await importEmbeddedWallet(keepsakes, phrase, {
			passphrase: "Zürich ﬁve",
			onProgress,
			scryptN,
		});
		expect(progress.at(-1)).toBe(1);
		expect(await keptWallet(keepsakes)).toMatchObject({ locked: true });
		const kept = Buffer.from((await keepsakes.read("wallet"))!);
		expect(kept.includes("test")).toBe(false);
		// The same passphrase from a keyboard that composes letters otherwise.
		const passphrase = "Zu\u0308rich five";
		expect((await openEmbeddedWallet(keepsakes, { passphrase })).address).toBe(address);
		await expect(openEmbeddedWallet(keepsakes)).rejects.toMatchObject({
			code: "WrongPassphrase",
			details: { given: false },
		});
		await expect(made.exportPhrase({ passphrase: "zürich five" })).rejects.toThrow(WrongPassphraseError);
		await made.changePassphrase({ current: passphrase, next: "", scryptN });
		expect(await keptWallet(keepsakes)).toMatchObject({ locked: false });
		expect(await made.exportPhrase()).toBe(phrase);
	});

	test("is by default under scrypt with 128 MiB", async () => {
		const keepsakes = createMemoryKeepsakes();
		await openEmbeddedWallet(keepsakes, { passphrase: "x" });
		const { guard } = decodeCbor(walletRecordSchema, (await keepsakes.read("wallet"))!, 1024);
		expect(guard).toMatchObject({ by: "passphrase", n: 131_072, r: 8, p: 1 });
	});

	test("gives nobody its private key", async () => {
		const wallet = await importEmbeddedWallet(createMemoryKeepsakes(), phrase);
		const key = "ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";
		const seen = inspect(wallet, { depth: 10, showHidden: true });
		expect(seen).toContain(address);
		for (const secret of [key, BigInt(`0x${key}`).toString(), "junk"]) expect(seen).not.toContain(secret);
		expect(wallet.account).not.toHaveProperty("getHdKey");
	});

	test("stops deriving its key when told to", async () => {
		const signal = AbortSignal.abort(new Error("stopped"));
		const options = { passphrase: "x", signal };
		await expect(openEmbeddedWallet(createMemoryKeepsakes(), options)).rejects.toThrow("stopped");
	});

	test("whose record is broken, foreign or forged is a typed error", async () => {
		const keepsakes = createMemoryKeepsakes();
		await keepsakes.write("wallet", new Uint8Array([1, 2, 3]));
		await expect(openEmbeddedWallet(keepsakes)).rejects.toThrow(KeyStorageError);
		const [a, b] = [createMemoryKeepsakes(), createMemoryKeepsakes()];
		await importEmbeddedWallet(a, phrase);
		await openEmbeddedWallet(b);
		const bytes = (await a.read("wallet"))!;
		const at = Buffer.from(bytes).indexOf(Buffer.from(address.slice(2), "hex"));
		bytes[at]! ^= 1;
		await a.write("wallet", bytes);
		await expect(openEmbeddedWallet(a)).rejects.toThrow(KeyStorageError);
	});
});
