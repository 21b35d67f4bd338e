import {
	encodeCbor,
	InvalidParameterError,
	InvalidSignatureError,
	MessageTooLargeError,
	PrekeyExpiredError,
	ReplayedEnvelopeError,
	SealedMessageError,
} from "@tabmesh/wire";
import fc from "fast-check";
import { afterEach, expect, test } from "vitest";
import { createEnvelopeSigner, createEnvelopeVerifier, createIdentity } from "../index.ts";
import { createPrekeys, createSealer, openPrekey, type Prekeys } from "./index.ts";

const [alice, bob, eve] = await Promise.all([createIdentity(), createIdentity(), createIdentity()]);
const text = (words: string) => new TextEncoder().encode(words);
const open: Prekeys[] = [];
afterEach(() => {
	for (const prekeys of open.splice(0)) prekeys.close();
});

function clocked(start = 1_800_000_000_000) {
	const clock = { time: start };
	const now = () => clock.time;
	const prekeys = createPrekeys(bob, { now });
	open.push(prekeys);
	const verifier = createEnvelopeVerifier({ now });
	return {
		clock,
		now,
		prekeys,
		prekey: async () => openPrekey(await prekeys.publish(), verifier),
		sealer: createSealer(alice, { now }),
	};
}

test("what is sealed to a prekey is opened by its owner, who learns who sent it", async () => {
	const { prekey, prekeys, sealer } = clocked();
	const to = await prekey();
	expect(to.peer).toBe(bob.peer);
	await fc.assert(
		fc.asyncProperty(
			fc.uint8Array({ maxLength: 4096 }),
			fc.uint8Array({ maxLength: 64 }),
			async (said, aad) => {
				const opened = await prekeys.open(await sealer.seal(to, said, aad), aad);
				expect(opened.author).toBe(alice.peer);
				expect(opened.message).toEqual(said);
			},
		),
		{ numRuns: 30 },
	);
});

test("two seals of one message have nothing in common", async () => {
	const { prekey, sealer } = clocked();
	const to = await prekey();
	const message = text("the same words, twice over");
	const [a, b] = [await sealer.seal(to, message), await sealer.seal(to, message)];
	expect(Buffer.from(a).includes(Buffer.from(message))).toBe(false);
	expect(a.subarray(-120, -64)).not.toEqual(b.subarray(-120, -64));
});

test("a message is opened once, in whatever order messages come", async () => {
	const { prekey, prekeys, sealer } = clocked();
	const to = await prekey();
	const sealed = await Promise.all(["one", "two", "three"].map((word) => sealer.seal(to, text(word))));
	for (const bytes of sealed.toReversed()) await prekeys.open(bytes);
	for (const bytes of sealed) await expect(prekeys.open(bytes)).rejects.toThrow(ReplayedEnvelopeError);
});

test("a prekey is replaced at half its life, and its secret is thrown away after its end", async () => {
	const { clock, prekey, prekeys, sealer } = clocked();
	const first = await prekey();
	clock.time += 29 * 60_000;
	expect((await prekey()).key).toEqual(first.key);
	const early = await sealer.seal(first, text("early"));
	const kept = await sealer.seal(first, text("kept by somebody for later"));
	clock.time += 60_000;
	const second = await prekey();
	expect(second.key).not.toEqual(first.key);
	await prekeys.open(early);
	clock.time = first.expires;
	await expect(sealer.seal(first, text("late"))).rejects.toThrow(PrekeyExpiredError);
	clock.time = first.expires + 5 * 60_000;
	await expect(prekeys.open(kept)).rejects.toThrow(SealedMessageError);
	await prekeys.open(await sealer.seal(await prekey(), text("with the next one")));
});

test("many peers that publish at once share one prekey", async () => {
	const { now, prekeys } = clocked();
	const verifier = createEnvelopeVerifier({ order: "any", now });
	const published = await Promise.all(Array.from({ length: 8 }, () => prekeys.publish()));
	const keys = await Promise.all(
		published.map(async (bytes) => (await openPrekey(bytes, verifier)).key.join()),
	);
	expect(new Set(keys).size).toBe(1);
});

test("a changed message, another context and another receiver are refused", async () => {
	const { now, prekey, prekeys, sealer } = clocked();
	const to = await prekey();
	const sealed = await sealer.seal(to, text("for Bob"), text("room 1"));
	await expect(prekeys.open(sealed, text("room 2"))).rejects.toThrow(SealedMessageError);
	const evesPrekeys = createPrekeys(eve, { now });
	open.push(evesPrekeys);
	await evesPrekeys.publish();
	await expect(evesPrekeys.open(sealed, text("room 1"))).rejects.toThrow(SealedMessageError);
	const changed = await sealer.seal(to, text("for Bob"));
	changed[changed.length - 80]! ^= 1;
	await expect(prekeys.open(changed)).rejects.toThrow(InvalidSignatureError);
});

test("nobody can pass off another's sealed message as their own", async () => {
	const { now, prekey, prekeys, sealer } = clocked();
	const sealed = await sealer.seal(await prekey(), text("Alice's words"));
	const { payload } = await createEnvelopeVerifier({ now }).open(sealed, "sealed");
	const stolen = await createEnvelopeSigner(eve, { now }).seal("sealed", payload);
	await expect(prekeys.open(stolen)).rejects.toThrow(SealedMessageError);
	expect((await prekeys.open(sealed)).author).toBe(alice.peer);
});

test("a prekey that claims to live longer than a day, or is no key, is refused", async () => {
	const { now, sealer } = clocked();
	const signer = createEnvelopeSigner(eve, { now });
	const verifier = createEnvelopeVerifier({ now });
	const publish = async (key: Uint8Array, expires: number) =>
		openPrekey(await signer.seal("prekey", encodeCbor({ key, expires })), verifier);
	await expect(publish(new Uint8Array(32).fill(9), now() + 25 * 3_600_000)).rejects.toThrow(
		PrekeyExpiredError,
	);
	await expect(publish(new Uint8Array(32).fill(9), now() - 1)).rejects.toThrow(PrekeyExpiredError);
	// The point of order one: every shared secret with it is zero.
	const zero = await publish(new Uint8Array(32), now() + 1000);
	await expect(sealer.seal(zero, text("known to everybody"))).rejects.toThrow(SealedMessageError);
	expect(() => createPrekeys(eve, { lifetimeMs: 25 * 3_600_000 })).toThrow(InvalidParameterError);
});

test("what does not fit an envelope is refused before it is sent, and closed prekeys open nothing", async () => {
	const { prekey, prekeys, sealer } = clocked();
	const to = await prekey();
	await expect(sealer.seal(to, new Uint8Array(16 * 1024))).rejects.toThrow(MessageTooLargeError);
	const sealed = await sealer.seal(to, text("too late"));
	prekeys.close();
	await expect(prekeys.open(sealed)).rejects.toThrow(SealedMessageError);
	await expect(prekeys.publish()).rejects.toThrow(SealedMessageError);
});
