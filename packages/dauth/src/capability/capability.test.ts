import {
	CapabilityActionError,
	CapabilityError,
	CapabilityForgedError,
	CapabilityHolderError,
	CapabilityRevokedError,
	CapabilityRoomError,
	CapabilityTimeError,
	CapabilityWidenedError,
	InvalidParameterError,
	MessageTooLargeError,
} from "@tabmesh/wire";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
	attenuateCapability,
	createIdentity,
	mintCapability,
	presentCapability,
	privateRoomId,
	readCapability,
	roomOwner,
	verifyCapability,
} from "../index.ts";

const now = 1_800_000_000_000;
const day = 86_400_000;
const [owner, bob, carol] = await Promise.all([createIdentity(), createIdentity(), createIdentity()]);
const room = privateRoomId("family", owner.publicKey);
const invite = (init: Partial<Parameters<typeof mintCapability>[1]> = {}) =>
	mintCapability(owner, { room, actions: ["ask", "lend"], expires: now + day, ...init });

describe("a private room's id", () => {
	test("carries its owner's key, and a public room's does not", () => {
		expect(roomOwner(room)).toEqual(owner.publicKey);
		for (const open of ["public", "family.v2", `.${room.split(".")[1]}`, `${room}A`, ""]) {
			expect(roomOwner(open)).toBeUndefined();
		}
		expect(() => privateRoomId("a.b", owner.publicKey)).toThrow(InvalidParameterError);
		expect(() => privateRoomId("a".repeat(21), owner.publicKey)).toThrow(InvalidParameterError);
		expect(privateRoomId("a".repeat(20), owner.publicKey)).toHaveLength(64);
	});

	test("has one spelling: the spare bits of its last character are zero", () => {
		const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
		const last = alphabet.indexOf(room.at(-1)!);
		expect(roomOwner(room.slice(0, -1) + alphabet[last ^ 1])).toBeUndefined();
	});
});

describe("an invitation link", () => {
	test("is a short word that is safe in a link and lets whoever has it in", async () => {
		const token = await invite({ actions: ["ask"] });
		expect(token).toMatch(/^[A-Za-z0-9_-]+$/);
		expect(token.length).toBeLessThan(330);
		const shown = await presentCapability(token, bob);
		const capability = await verifyCapability(shown, { room, peer: bob.peer, action: "ask", now });
		expect(capability).toMatchObject({ room, actions: ["ask"], holder: bob.peer, expires: now + day });
	});

	test("is never shown with its secret", async () => {
		const token = await invite();
		const demand = { room, peer: bob.peer, action: "ask", now };
		await expect(verifyCapability(token, demand)).rejects.toThrow(CapabilityError);
		const shown = await presentCapability(token, bob);
		expect(shown).not.toContain(token.slice(-40));
		expect(await presentCapability(shown, bob)).toBe(shown);
	});

	test("tells its receiver what it is for", async () => {
		expect(await readCapability(await invite({ notBefore: now }))).toMatchObject({
			room,
			actions: ["ask", "lend"],
			notBefore: now,
			expires: now + day,
			holder: undefined,
		});
	});
});

test("a capability for one peer is of no use to another, and the peer passes on a narrower one offline", async () => {
	const bobs = await invite({ to: bob.peer });
	await verifyCapability(bobs, { room, peer: bob.peer, action: "lend", now });
	await expect(verifyCapability(bobs, { room, peer: carol.peer, action: "ask", now })).rejects.toThrow(
		CapabilityHolderError,
	);
	await expect(presentCapability(bobs, carol)).rejects.toThrow(CapabilityHolderError);
	await expect(attenuateCapability(bobs, { to: carol.peer }, carol)).rejects.toThrow(CapabilityHolderError);
	const carols = await attenuateCapability(
		bobs,
		{ actions: ["ask"], expires: now + 1000, to: carol.peer },
		bob,
	);
	const asked = { room, peer: carol.peer, action: "ask", now };
	expect((await verifyCapability(carols, asked)).ids).toHaveLength(2);
	await expect(verifyCapability(carols, { ...asked, action: "lend" })).rejects.toThrow(CapabilityActionError);
	await expect(verifyCapability(carols, { ...asked, now: now + 1000 })).rejects.toThrow(CapabilityTimeError);
	await expect(verifyCapability(carols, { ...asked, peer: bob.peer })).rejects.toThrow(CapabilityHolderError);
});

test("a capability ends, begins, and belongs to its room alone", async () => {
	const token = await invite({ to: bob.peer, notBefore: now + 10 });
	const demand = { room, peer: bob.peer, action: "ask", now: now + 10 };
	await verifyCapability(token, demand);
	await expect(verifyCapability(token, { ...demand, now: now + 9 })).rejects.toThrow(CapabilityTimeError);
	await expect(verifyCapability(token, { ...demand, now: now + day })).rejects.toThrow(CapabilityTimeError);
	const other = privateRoomId("work", owner.publicKey);
	await expect(verifyCapability(token, { ...demand, room: other })).rejects.toThrow(CapabilityRoomError);
	await expect(invite({ room: privateRoomId("family", bob.publicKey) })).rejects.toThrow(CapabilityRoomError);
	await expect(invite({ room: "public" })).rejects.toThrow(CapabilityRoomError);
	await expect(invite({ expires: Number.POSITIVE_INFINITY })).rejects.toThrow(InvalidParameterError);
	await expect(invite({ actions: [] })).rejects.toThrow(InvalidParameterError);
	await expect(invite({ actions: ["Ask!"] })).rejects.toThrow(InvalidParameterError);
});

test("revoking one link revokes all that came from it", async () => {
	const bobs = await invite({ to: bob.peer });
	const carols = await attenuateCapability(bobs, { to: carol.peer }, bob);
	const [first] = (await readCapability(bobs)).ids;
	const revoked = (id: string) => id === first;
	for (const [token, peer] of [
		[bobs, bob.peer],
		[carols, carol.peer],
	] as const) {
		await expect(verifyCapability(token, { room, peer, action: "ask", now, revoked })).rejects.toThrow(
			CapabilityRevokedError,
		);
	}
});

test("a chain has at most eight links, and no longer word is even decoded", async () => {
	let token = await invite();
	for (let link = 1; link < 8; link++) token = await attenuateCapability(token, {});
	await expect(attenuateCapability(token, {})).rejects.toThrow(InvalidParameterError);
	await expect(readCapability("A".repeat(3000))).rejects.toThrow(MessageTooLargeError);
});

test("however a capability is narrowed, it never grants more than before", async () => {
	const actions = fc.subarray(["ask", "lend", "read", "write"], { minLength: 1 });
	const step = fc.record(
		{
			actions,
			expires: fc.integer({ min: now - day, max: now + 2 * day }),
			notBefore: fc.integer({ min: 0, max: now + day }),
		},
		{ requiredKeys: [] },
	);
	await fc.assert(
		fc.asyncProperty(actions, fc.array(step, { maxLength: 4 }), async (granted, steps) => {
			let token = await invite({ actions: granted });
			let before = await readCapability(token);
			for (const narrowing of steps) {
				try {
					token = await attenuateCapability(token, narrowing);
				} catch (error) {
					expect(error).toBeInstanceOf(CapabilityWidenedError);
					continue;
				}
				const after = await readCapability(token);
				expect(before.actions).toEqual(expect.arrayContaining([...after.actions]));
				expect(after.expires).toBeLessThanOrEqual(before.expires);
				expect(after.notBefore).toBeGreaterThanOrEqual(before.notBefore);
				before = after;
			}
		}),
		{ numRuns: 100 },
	);
});

test("a room belongs to whoever's key it carries: nobody else can let others in", async () => {
	const pretender = { ...bob, publicKey: owner.publicKey };
	const token = await mintCapability(pretender, { room, actions: ["ask"], expires: now + day, to: bob.peer });
	await expect(verifyCapability(token, { room, peer: bob.peer, action: "ask", now })).rejects.toThrow(
		CapabilityForgedError,
	);
});
