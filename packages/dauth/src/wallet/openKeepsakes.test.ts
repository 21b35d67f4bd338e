import { chmod, mkdtemp, readdir, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { InvalidParameterError, KeyStorageError } from "@tabmesh/wire";
import { afterAll, beforeAll, expect, test } from "vitest";
import { openEmbeddedWallet } from "./index.ts";
import { openKeepsakes } from "./openKeepsakes.ts";

let root: string;
beforeAll(async () => {
	root = await mkdtemp(join(tmpdir(), "tabmesh-keepsakes-"));
});
afterAll(() => rm(root, { recursive: true, force: true }));

test("a file is its owner's alone, and the wallet in it survives a restart", async () => {
	const folder = join(root, "new", "folder");
	const { address, persistent } = await openEmbeddedWallet(await openKeepsakes({ folder }));
	expect(persistent).toBe(true);
	expect((await stat(join(folder, "wallet.cbor"))).mode & 0o777).toBe(0o600);
	expect((await stat(folder)).mode & 0o777).toBe(0o700);
	expect((await openEmbeddedWallet(await openKeepsakes({ folder }))).address).toBe(address);
});

test("of many processes that make a wallet at once, all use the same one, and no draft is left", async () => {
	const folder = join(root, "race");
	const wallets = await Promise.all(
		Array.from({ length: 8 }, async () => openEmbeddedWallet(await openKeepsakes({ folder }))),
	);
	expect(new Set(wallets.map(({ address }) => address)).size).toBe(1);
	expect(await readdir(folder)).toEqual(["wallet.cbor"]);
});

test("a file that others can read, that is too long, or that cannot be made is refused", async () => {
	const folder = join(root, "bad");
	const keepsakes = await openKeepsakes({ folder });
	await keepsakes.write("open", new Uint8Array([1]));
	await chmod(join(folder, "open.cbor"), 0o644);
	await expect(keepsakes.read("open")).rejects.toThrow(KeyStorageError);
	await writeFile(join(folder, "long.cbor"), new Uint8Array(100_000), { mode: 0o600 });
	await expect(keepsakes.read("long")).rejects.toThrow(KeyStorageError);
	const nowhere = await openKeepsakes({ folder: join(folder, "open.cbor", "under") });
	await expect(nowhere.write("a", new Uint8Array([1]))).rejects.toThrow(KeyStorageError);
	for (const name of ["../escape", "", "A", "a/b"]) {
		await expect(keepsakes.write(name, new Uint8Array([1]))).rejects.toThrow(InvalidParameterError);
	}
});

test("what is written replaces, what is created does not, and what is removed is gone", async () => {
	const keepsakes = await openKeepsakes({ folder: join(root, "plain") });
	expect(await keepsakes.create("a", new Uint8Array([1]))).toBe(true);
	expect(await keepsakes.create("a", new Uint8Array([2]))).toBe(false);
	expect(await keepsakes.read("a")).toEqual(new Uint8Array([1]));
	await keepsakes.write("a", new Uint8Array([3]));
	expect(await keepsakes.read("a")).toEqual(new Uint8Array([3]));
	await keepsakes.remove("a");
	await keepsakes.remove("a");
	expect(await keepsakes.read("a")).toBeUndefined();
});
