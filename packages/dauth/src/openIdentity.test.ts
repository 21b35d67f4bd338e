import { chmod, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { publicKeyFromRaw } from "@libp2p/crypto/keys";
import { KeyStorageError, MalformedMessageError } from "@tabmesh/wire";
import { afterAll, describe, expect, test } from "vitest";
import { createIdentity, openIdentity, peerIdFromPublicKey, publicKeyFromPeerId } from "./index.ts";

const folder = await mkdtemp(join(tmpdir(), "tabmesh-dauth-"));
afterAll(() => rm(folder, { recursive: true }));
const bytes = new TextEncoder().encode("signed");

describe("a fresh identity", () => {
	test("signs what its public key verifies, and never shows its private half", async () => {
		const identity = await createIdentity();
		expect(identity.persistent).toBe(false);
		expect(await publicKeyFromRaw(identity.publicKey).verify(bytes, await identity.sign(bytes))).toBe(true);
		const signature = await identity.privateKey.sign(bytes);
		expect(await identity.privateKey.publicKey.verify(bytes, signature)).toBe(true);
		expect(() => identity.privateKey.raw).toThrow(KeyStorageError);
		expect(JSON.stringify(identity)).not.toContain("secret");
	});

	test("has a peer id from which its public key can be read", async () => {
		const { peer, publicKey } = await createIdentity();
		expect(peer).toMatch(/^12D3KooW/);
		expect(publicKeyFromPeerId(peer)).toEqual(publicKey);
		expect(peerIdFromPublicKey(publicKey)).toBe(peer);
		for (const wrong of ["", "12D3KooW", `${peer}x`, "QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWnPbdG"]) {
			expect(() => publicKeyFromPeerId(wrong)).toThrow(MalformedMessageError);
		}
		expect(() => peerIdFromPublicKey(new Uint8Array(31))).toThrow(MalformedMessageError);
	});
});

describe("an identity in a file", () => {
	test("is made readable for its owner only, and is the same at the next start", async () => {
		const file = join(folder, "deep", "peer.key");
		const first = await openIdentity({ file });
		expect(first.persistent).toBe(true);
		expect((await stat(file)).mode & 0o777).toBe(0o600);
		expect(await readdir(join(folder, "deep"))).toEqual(["peer.key"]);
		expect((await openIdentity({ file })).peer).toBe(first.peer);
	});

	test("is one identity when several processes make it at once", async () => {
		const file = join(folder, "race.key");
		const opened = await Promise.all(Array.from({ length: 8 }, () => openIdentity({ file })));
		expect(new Set(opened.map(({ peer }) => peer)).size).toBe(1);
	});

	test("that is broken, of another kind, or open to others is refused and left as it is", async () => {
		const rsa = await crypto.subtle.generateKey({ name: "ECDSA", namedCurve: "P-256" }, true, [
			"sign",
			"verify",
		]);
		const der = Buffer.from(await crypto.subtle.exportKey("pkcs8", rsa.privateKey)).toString("base64");
		const contents = [
			"",
			"not a key",
			"x".repeat(100_000),
			"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
			`-----BEGIN PRIVATE KEY-----\n${der}\n-----END PRIVATE KEY-----\n`,
		];
		for (const content of contents) {
			const file = join(folder, "broken.key");
			await writeFile(file, content, { mode: 0o600 });
			await expect(openIdentity({ file })).rejects.toBeInstanceOf(KeyStorageError);
			expect(await readFile(file, "utf8")).toBe(content);
		}
		const file = join(folder, "open.key");
		await openIdentity({ file });
		await chmod(file, 0o644);
		await expect(openIdentity({ file })).rejects.toThrow(/chmod 600/);
	});

	test("in a folder that cannot be made is a KeyStorageError", async () => {
		await writeFile(join(folder, "plain"), "");
		await expect(openIdentity({ file: join(folder, "plain", "peer.key") })).rejects.toBeInstanceOf(
			KeyStorageError,
		);
	});
});
