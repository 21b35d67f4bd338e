import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createIdentity, openIdentity, readCapability, roomOwner } from "@tabmesh/dauth";
import { CapabilityHolderError, CapabilityWidenedError, InvalidParameterError } from "@tabmesh/wire";
import { afterAll, beforeAll, expect, test } from "vitest";
import { readInvitation } from "../invitation.ts";
import { type RoomOptions, room } from "./room.ts";

let folder: string;
let key: string;
beforeAll(async () => {
	folder = await mkdtemp(join(tmpdir(), "room-"));
	key = join(folder, "owner.pem");
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function said(options: RoomOptions): Promise<string[]> {
	const lines: string[] = [];
	expect(await room(options, { print: (line) => lines.push(line), note: () => {} })).toBe(0);
	return lines;
}
const mint = (more: Partial<Extract<RoomOptions, { action: "mint" }>> = {}) =>
	said({ action: "mint", name: "family", key, actions: ["ask", "lend"], days: 7, ...more });

test("an owner makes invitations, and everybody who has one makes narrower ones", async () => {
	const [invitation] = await mint();
	const capability = await readCapability(invitation!);
	expect(roomOwner(capability.room)).toEqual((await openIdentity({ file: key })).publicKey);
	expect(capability).toMatchObject({ actions: ["ask", "lend"], holder: undefined });
	const bob = await createIdentity();
	const narrow = { action: "attenuate", capability: invitation!, actions: ["ask"], to: bob.peer } as const;
	const [bobs] = await said(narrow);
	expect(await readCapability(bobs!)).toMatchObject({ actions: ["ask"], holder: bob.peer });
	expect((await said({ action: "show", capability: bobs! })).join("\n")).toMatch(
		/room +family\.[\s\S]*allows +ask\n[\s\S]*for +12D3KooW/,
	);
	await expect(said({ ...narrow, capability: bobs!, actions: ["lend"] })).rejects.toThrow(
		CapabilityWidenedError,
	);
	await expect(said({ action: "attenuate", capability: bobs!, days: 1 })).rejects.toThrow(
		CapabilityHolderError,
	);
	await expect(said({ action: "attenuate", capability: bobs! })).rejects.toThrow(InvalidParameterError);
});

test("an invitation is taken as a word, as a link and from a file; anything else is refused by name", async () => {
	const [invitation] = await mint();
	const file = join(folder, "invitation");
	await writeFile(file, `https://example.org/chat#${invitation}\n`);
	for (const given of [invitation!, `https://example.org/lend#${invitation}`, file]) {
		expect(await readInvitation(given)).toBe(invitation);
	}
	await writeFile(file, "x".repeat(100_000));
	for (const given of [file, join(folder, "absent"), "", folder]) {
		await expect(readInvitation(given)).rejects.toThrow(/--capability/);
	}
});
