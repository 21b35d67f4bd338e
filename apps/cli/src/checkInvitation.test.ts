import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createIdentity, mintCapability, privateRoomId } from "@tabmesh/dauth";
import { InvalidParameterError } from "@tabmesh/wire";
import { expect, test } from "vitest";
import { checkInvitation } from "./checkInvitation.ts";

test("an invitation is taken as the word, as its link, and as a file with either", async () => {
	const owner = await createIdentity();
	const room = privateRoomId("family", owner.publicKey);
	const word = await mintCapability(owner, { room, actions: ["ask"], expires: Date.now() + 60_000 });
	const link = `https://mesh.example.org/chat#${word}`;
	const folder = await mkdtemp(join(tmpdir(), "invitation-"));
	try {
		const file = join(folder, "invitation");
		expect(await checkInvitation(word)).toBe(word);
		expect(await checkInvitation(link)).toBe(word);
		for (const text of [word, `${link}\n`]) {
			await writeFile(file, text);
			expect(await checkInvitation(file)).toBe(word);
		}
		const cut = word.slice(0, -20);
		await expect(checkInvitation(cut)).rejects.toThrow(InvalidParameterError);
		await writeFile(file, "a shopping list");
		for (const given of [file, join(folder, "absent"), folder, ""])
			await expect(checkInvitation(given)).rejects.toThrow(/^--capability takes an invitation or a file/);
	} finally {
		await rm(folder, { recursive: true, force: true });
	}
});
