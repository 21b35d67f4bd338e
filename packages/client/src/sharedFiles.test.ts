import { createCipheriv } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { type Relay, startRelay } from "@tabmesh/relay";
import { DecryptionError, FileNotFoundError } from "@tabmesh/wire";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { connect, type Tabmesh } from "./index.ts";

let relay: Relay;
let folder: string;
const open: Tabmesh[] = [];

function seededBytes(seed: number, length: number): Uint8Array<ArrayBuffer> {
	const cipher = createCipheriv("chacha20", Buffer.alloc(32, seed), Buffer.alloc(16));
	return new Uint8Array(cipher.update(Buffer.alloc(length)));
}

beforeAll(async () => {
	folder = await mkdtemp(path.join(tmpdir(), "tabmesh-files-"));
	relay = await startRelay({ port: 0, site: () => ({ room: "public", models: [], minStages: 1 }) });
});
afterEach(async () => {
	for (const each of open.splice(0)) await each.close();
});
afterAll(async () => {
	await relay.stop();
	await rm(folder, { recursive: true, force: true });
});

async function join(name: string, room = "public"): Promise<Tabmesh> {
	const mesh = await connect({ relay: relay.url, room, cacheDir: path.join(folder, name) });
	open.push(mesh);
	return mesh;
}

test("a file that one adds is read by another who has its link, and by nobody without the key", async () => {
	const [ada, ben] = [await join("ada"), await join("ben")];
	const content = seededBytes(3, 5_000_000);
	const { link, cid } = await (await ada.files()).add(content, { encrypt: true, name: "notes.bin" });
	const theirs = await ben.files();
	expect(await theirs.get(link).bytes()).toEqual(content);
	// It is kept there now as well.
	expect(await theirs.stat(cid)).toMatchObject({ cid, from: { [ada.peer]: expect.any(Number) } });
	await expect(theirs.get(`${cid}`, { key: seededBytes(4, 32) }).bytes()).rejects.toThrow(DecryptionError);
});

test("what an earlier visit kept is told again, and found by a newcomer who is connected to nobody yet", async () => {
	const content = seededBytes(5, 300_000);
	const before = await join("cleo");
	const { link } = await (await before.files()).add(content);
	await before.close();
	const again = await join("cleo");
	await again.files();
	const newcomer = await join("dora");
	expect(await (await newcomer.files()).get(link).bytes()).toEqual(content);
});

test("who neither lends nor shares gives nothing away, and the other room hears of nothing", async () => {
	const sharing = await join("eve");
	const { link } = await (await sharing.files()).add(seededBytes(6, 300_000));
	await sharing.close();
	// The same files are here, but nobody called for them.
	const silent = await join("eve");
	await silent.storage.view();
	const reader = await (await join("fred")).files();
	await expect(reader.get(link, { patienceMs: 2_000 }).bytes()).rejects.toThrow(FileNotFoundError);
	await silent.files();
	const elsewhere = await (await join("gus", "elsewhere")).files();
	await expect(elsewhere.get(link, { patienceMs: 2_000 }).bytes()).rejects.toThrow(FileNotFoundError);
});
