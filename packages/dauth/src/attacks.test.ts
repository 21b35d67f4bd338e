import {
	CapabilityForgedError,
	CapabilityHolderError,
	CapabilityRoomError,
	CapabilityWidenedError,
	capabilitySchema,
	type Delegation,
	DelegationChainError,
	DelegationExpiredError,
	DelegationForgedError,
	DelegationNotYetValidError,
	DelegationPeerError,
	DelegationRevokedError,
	DelegationScopeError,
	decodeCbor,
	delegationDomain,
	delegationTypes,
	encodeCbor,
	InvalidSignatureError,
	MalformedMessageError,
	ProtocolViolationError,
	ReplayedEnvelopeError,
	SealedMessageError,
	SignInDomainError,
	SignInForgedError,
	SignInNonceError,
	signedDelegationSchema,
	TabmeshError,
} from "@tabmesh/wire";
import fc from "fast-check";
import { base64url } from "multiformats/bases/base64";
import { hexToBytes } from "viem/utils";
import { describe, expect, test } from "vitest";
import { capabilityBody } from "./capability/capabilityBody.ts";
import {
	attenuateCapability,
	createEnvelopeSigner,
	createEnvelopeVerifier,
	createIdentity,
	mintCapability,
	presentCapability,
	privateRoomId,
	verifyCapability,
} from "./index.ts";
import { createPrekeys, createSealer, openPrekey } from "./sealed/index.ts";
import {
	createDelegationVerifier,
	createMemoryKeepsakes,
	createSignInGate,
	openEmbeddedWallet,
	signDelegation,
	signedRevocations,
	signIn,
	signRevocation,
} from "./wallet/index.ts";

// Every attack that we thought of, by hand, and fuzzing for those that we did not. Accepted: none.

const fuzzRuns = Number(process.env.FUZZ_RUNS ?? 10_000);
const start = 1_800_000_000_000;
const day = 86_400_000;
const chainId = 31337;
const [owner, honest, mallory] = await Promise.all([createIdentity(), createIdentity(), createIdentity()]);
const victim = await openEmbeddedWallet(createMemoryKeepsakes());
const malloryWallet = await openEmbeddedWallet(createMemoryKeepsakes());

const terms = { peer: honest.peer, scopes: ["lend"], chainId, now: start };
const genuine = await signDelegation(victim, terms);
const demand = { peer: honest.peer, scope: "lend" };
const verifier = (now = start) => createDelegationVerifier({ chainId, now: () => now });

/** A delegation with some of its words changed after it was signed. */
function reworded(change: Partial<Delegation>, bytes = genuine): Uint8Array {
	const signed = decodeCbor(signedDelegationSchema, bytes, 8192);
	return encodeCbor({ ...signed, delegation: { ...signed.delegation, ...change } });
}

describe("delegations", () => {
	test("(control) the genuine one is taken", async () => {
		expect((await verifier().verify(genuine, demand)).wallet).toBe(victim.address);
	});

	test("attack 1: signed by the attacker's wallet in the victim's name", async () => {
		const forged = await signDelegation({ ...malloryWallet, address: victim.address }, terms);
		const signed = decodeCbor(signedDelegationSchema, forged, 8192);
		for (const contract of [true, false]) {
			const bytes = encodeCbor({ ...signed, contract });
			await expect(verifier().verify(bytes, demand)).rejects.toBeInstanceOf(TabmeshError);
		}
		await expect(
			verifier().verify(encodeCbor({ ...signed, contract: false }), demand),
		).rejects.toBeInstanceOf(DelegationForgedError);
	});

	test("attack 2: every word changed after signing, one at a time", async () => {
		const { delegation } = decodeCbor(signedDelegationSchema, genuine, 8192);
		const changes: [Partial<Delegation>, object][] = [
			[{ wallet: hexToBytes(malloryWallet.address) as Uint8Array<ArrayBuffer> }, demand],
			[{ peer: mallory.publicKey as Uint8Array<ArrayBuffer> }, { ...demand, peer: mallory.peer }],
			[{ scopes: ["lend", "vote"] }, { ...demand, scope: "vote" }],
			[{ notBefore: delegation.notBefore - 1 }, demand],
			[{ expiry: delegation.expiry + 1 }, demand],
			[{ nonce: new Uint8Array(32) }, demand],
		];
		for (const [change, wanted] of changes) {
			await expect(verifier().verify(reworded(change), { ...demand, ...wanted })).rejects.toBeInstanceOf(
				DelegationForgedError,
			);
		}
	});

	test("attack 3: copied and replayed by another peer", async () => {
		await expect(verifier().verify(genuine, { ...demand, peer: mallory.peer })).rejects.toBeInstanceOf(
			DelegationPeerError,
		);
	});

	test("attack 4: replayed after its end, and with its end moved", async () => {
		const { delegation } = decodeCbor(signedDelegationSchema, genuine, 8192);
		const after = verifier(delegation.expiry * 1000);
		await expect(after.verify(genuine, demand)).rejects.toBeInstanceOf(DelegationExpiredError);
		const moved = reworded({ expiry: delegation.expiry + 1000 });
		await expect(after.verify(moved, demand)).rejects.toBeInstanceOf(DelegationForgedError);
	});

	test("attack 5: used before it begins", async () => {
		const early = verifier(start - 3_600_000);
		await expect(early.verify(genuine, demand)).rejects.toBeInstanceOf(DelegationNotYetValidError);
	});

	test("attack 6: made for another chain, and relabelled for this one", async () => {
		const elsewhere = await signDelegation(victim, { ...terms, chainId: 1 });
		await expect(verifier().verify(elsewhere, demand)).rejects.toBeInstanceOf(DelegationChainError);
		await expect(verifier().verify(reworded({ chainId }, elsewhere), demand)).rejects.toBeInstanceOf(
			DelegationForgedError,
		);
	});

	test("attack 7: used for a scope beside, above or hidden in the granted one", async () => {
		for (const scope of ["vote", "lend:everything", "len", "", "LEND"]) {
			await expect(verifier().verify(genuine, { ...demand, scope })).rejects.toBeInstanceOf(
				DelegationScopeError,
			);
		}
	});

	test("attack 8: replayed by its own peer after the wallet took it back", async () => {
		const taken = await signRevocation(victim, genuine);
		const revocations = signedRevocations(async () => [taken]);
		const informed = createDelegationVerifier({ chainId, revocations, now: () => start });
		await expect(informed.verify(genuine, demand)).rejects.toBeInstanceOf(DelegationRevokedError);
	});

	test("attack 9: malleable signatures (high s, v from 0, compact, padded, zeros)", async () => {
		const signed = decodeCbor(signedDelegationSchema, genuine, 8192);
		const order = 0xffff_ffff_ffff_ffff_ffff_ffff_ffff_fffe_baae_dce6_af48_a03b_bfd2_5e8c_d036_4141n;
		const s = order - BigInt(`0x${Buffer.from(signed.signature.subarray(32, 64)).toString("hex")}`);
		const high = signed.signature.slice();
		high.set(hexToBytes(`0x${s.toString(16).padStart(64, "0")}`), 32);
		high[64] = high[64] === 27 ? 28 : 27;
		const fromZero = signed.signature.slice();
		fromZero[64]! -= 27;
		const otherParity = signed.signature.slice();
		otherParity[64] = otherParity[64] === 27 ? 28 : 27;
		const zeroR = signed.signature.slice().fill(0, 0, 32);
		const zeroS = signed.signature.slice().fill(0, 32, 64);
		for (const signature of [
			high,
			fromZero,
			otherParity,
			zeroR,
			zeroS,
			signed.signature.subarray(0, 64),
			new Uint8Array([...signed.signature, 0]),
			new Uint8Array(65),
			new Uint8Array(65).fill(27),
		]) {
			await expect(verifier().verify(encodeCbor({ ...signed, signature }), demand)).rejects.toBeInstanceOf(
				DelegationForgedError,
			);
		}
	});

	test("attack 10: a signature for another dapp, another version or another struct", async () => {
		const signed = decodeCbor(signedDelegationSchema, genuine, 8192);
		const { delegationTypedData } = await import("./wallet/index.ts");
		const typed = delegationTypedData(signed.delegation);
		for (const [domain, types] of [
			[{ ...delegationDomain(chainId), name: "Tabmash" }, delegationTypes],
			[{ ...delegationDomain(chainId), version: "2" }, delegationTypes],
			[{ name: "Tabmesh", version: "1" }, delegationTypes],
			[
				delegationDomain(chainId),
				{ Delegation: delegationTypes.Delegation.filter(({ name }) => name !== "scopes") },
			],
		] as const) {
			const signature = await victim.signTypedData({ ...typed, domain, types } as never);
			await expect(verifier().verify(encodeCbor({ ...signed, signature }), demand)).rejects.toBeInstanceOf(
				DelegationForgedError,
			);
		}
		const spoken = await victim.signMessage(Buffer.from(genuine).toString("latin1"));
		await expect(
			verifier().verify(encodeCbor({ ...signed, signature: spoken }), demand),
		).rejects.toBeInstanceOf(DelegationForgedError);
	});

	test("attack 11: an owner's signature for one contract wallet shown as another's", async () => {
		const { recoverSigner } = await import("./wallet/keySignature.ts");
		// Both contracts have the same owner and accept whatever the owner signed.
		const contracts = {
			isValidSignature: async (call: { hash: `0x${string}`; signature: Uint8Array }) =>
				(await recoverSigner(call.hash, call.signature)) === victim.address,
		};
		const poor = "0x000000000000000000000000000000000000dEaD";
		const rich = "0x000000000000000000000000000000000000bEEF";
		const bytes = await signDelegation({ ...victim, address: poor }, terms);
		const trusting = createDelegationVerifier({ chainId, contracts, now: () => start });
		expect((await trusting.verify(bytes, demand)).wallet).toBe(poor);
		const moved = reworded({ wallet: hexToBytes(rich) as Uint8Array<ArrayBuffer> }, bytes);
		await expect(trusting.verify(moved, demand)).rejects.toBeInstanceOf(DelegationForgedError);
	});
});

describe("capabilities", async () => {
	const room = privateRoomId("family", owner.publicKey);
	const grant = { room, actions: ["ask"], expires: start + day };
	const wanted = { room, peer: mallory.peer, action: "ask", now: start };
	const decode = (token: string) => decodeCbor(capabilitySchema, base64url.baseDecode(token), 2048);
	const encode = (parts: unknown) => base64url.baseEncode(encodeCbor(parts));
	const refused = (token: string, error: abstract new (...parts: never[]) => unknown, change = {}) =>
		expect(verifyCapability(token, { ...wanted, ...change })).rejects.toBeInstanceOf(error);

	test("attack 12: a link that widens what came before, signed by its rightful holder", async () => {
		const [version, , blocks] = decode(await mintCapability(owner, { ...grant, to: mallory.peer }));
		const parent = await import("@noble/hashes/sha2.js").then(({ sha256 }) => {
			const [actions, notBefore, expires, next] = blocks[0]!;
			return sha256(capabilityBody(room, actions, notBefore, expires, next));
		});
		for (const [actions, notBefore, expires] of [
			[["ask", "lend"], null, null],
			[["lend"], null, null],
			[null, null, start + 2 * day],
		] as const) {
			const body = capabilityBody(parent, actions, notBefore, expires, mallory.publicKey);
			const block = [actions, notBefore, expires, mallory.publicKey, await mallory.sign(body)];
			const change = { action: actions ? "lend" : "ask" };
			await refused(encode([version, room, [...blocks, block], null]), CapabilityWidenedError, change);
		}
	});

	test("attack 13: cutting off the links that narrow", async () => {
		const honestly = await mintCapability(owner, { ...grant, actions: ["ask", "lend"], to: honest.peer });
		const narrowed = await attenuateCapability(honestly, { actions: ["ask"], to: mallory.peer }, honest);
		const [version, , blocks] = decode(narrowed);
		await refused(encode([version, room, blocks.slice(0, 1), null]), CapabilityHolderError, {
			action: "lend",
		});
		// And from a link's chain, whose secret the later holder never saw.
		const link = await mintCapability(owner, { ...grant, actions: ["ask", "lend"] });
		const shown = decode(await attenuateCapability(link, { actions: ["ask"], to: mallory.peer }));
		await refused(encode([1, room, shown[2].slice(0, 1), null]), CapabilityHolderError, { action: "lend" });
		await refused(encode([1, room, shown[2].slice(1), null]), MalformedMessageError);
	});

	test("attack 14: links of one chain put into another", async () => {
		const a = decode(
			await attenuateCapability(
				await mintCapability(owner, { ...grant, actions: ["ask", "lend"], to: honest.peer }),
				{ to: mallory.peer },
				honest,
			),
		);
		const b = decode(
			await attenuateCapability(
				await mintCapability(owner, { ...grant, to: honest.peer }),
				{ to: mallory.peer },
				honest,
			),
		);
		await refused(encode([1, room, [a[2][0], b[2][1]], null]), CapabilityForgedError);
		await refused(encode([1, room, [b[2][0], a[2][1]], null]), CapabilityForgedError);
		await refused(encode([1, room, [a[2][0], a[2][1], b[2][1]], null]), CapabilityForgedError);
		await refused(encode([1, room, [a[2][1], a[2][0]], null]), TabmeshError);
	});

	test("attack 15: minted by somebody who does not own the room, or for the owner's other room", async () => {
		const own = privateRoomId("family", mallory.publicKey);
		const minted = await mintCapability(mallory, { ...grant, room: own, to: mallory.peer });
		await refused(minted, CapabilityRoomError);
		const [version, , blocks] = decode(minted);
		await refused(encode([version, room, blocks, null]), CapabilityForgedError);
		const other = privateRoomId("work", owner.publicKey);
		const elsewhere = decode(await mintCapability(owner, { ...grant, room: other, to: mallory.peer }));
		await refused(encode([version, room, elsewhere[2], null]), CapabilityForgedError);
	});

	test("attack 16: a shown capability replayed by who saw it", async () => {
		const link = await mintCapability(owner, grant);
		const shown = await presentCapability(link, honest);
		await refused(shown, CapabilityHolderError);
		const [version, , blocks] = decode(shown);
		const last = blocks.at(-1)!;
		const stolen = [...blocks.slice(0, -1), [last[0], last[1], last[2], mallory.publicKey, last[4]]];
		await refused(encode([version, room, stolen, null]), CapabilityForgedError);
	});

	test("attack 17: 10,000 mutations of a genuine capability", async () => {
		const token = await mintCapability(owner, { ...grant, to: mallory.peer });
		const two = await presentCapability(await mintCapability(owner, grant), mallory);
		await verifyCapability(token, wanted);
		const tokens = [token, two].map((text) => base64url.baseDecode(text));
		let accepted = 0;
		await fc.assert(
			fc.asyncProperty(mutation(tokens), async (bytes) => {
				await verifyCapability(base64url.baseEncode(bytes), wanted).then(
					() => accepted++,
					(error) => expect(error).toBeInstanceOf(TabmeshError),
				);
			}),
			{ numRuns: fuzzRuns },
		);
		expect(accepted).toBe(0);
	});
});

describe("envelopes and sealed messages", () => {
	const text = new TextEncoder().encode("what was said");

	test("attack 18: a signature moved between domains: envelope, capability, sealed message, prekey", async () => {
		const domains = ["route", "receipt", "origin", "gate", "prekey", "sealed"] as const;
		const signer = createEnvelopeSigner(honest);
		for (const from of domains) {
			const bytes = await signer.seal(from, text);
			const body = bytes.subarray(1 + encodeCbor(from).length);
			for (const to of domains) {
				if (to === from) continue;
				await expect(createEnvelopeVerifier().open(bytes, to)).rejects.toBeInstanceOf(ProtocolViolationError);
				const moved = new Uint8Array([bytes[0]!, ...encodeCbor(to), ...body]);
				await expect(createEnvelopeVerifier().open(moved, to)).rejects.toBeInstanceOf(InvalidSignatureError);
			}
		}
		// The owner is made to sign an envelope whose payload is a capability's body: no signature over that body results.
		const room = privateRoomId("family", honest.publicKey);
		const body = capabilityBody(room, ["ask"], null, start + day, mallory.publicKey);
		const signature = (await signer.seal("gate", body)).slice(-64);
		const forged = base64url.baseEncode(
			encodeCbor([1, room, [[["ask"], null, start + day, mallory.publicKey, signature]], null]),
		);
		await expect(
			verifyCapability(forged, { room, peer: mallory.peer, action: "ask", now: start }),
		).rejects.toBeInstanceOf(CapabilityForgedError);
	});

	test("attack 19: a sealed message replayed, re-signed by another, or aimed at another's prekey", async () => {
		const prekeys = createPrekeys(honest);
		const prekey = await openPrekey(await prekeys.publish(), createEnvelopeVerifier());
		const sealed = await createSealer(owner).seal(prekey, text);
		const { payload } = await createEnvelopeVerifier().open(sealed, "sealed");
		const stolen = await createEnvelopeSigner(mallory).seal("sealed", payload);
		await expect(prekeys.open(stolen)).rejects.toBeInstanceOf(SealedMessageError);
		await prekeys.open(sealed);
		await expect(prekeys.open(sealed)).rejects.toBeInstanceOf(ReplayedEnvelopeError);
		// Mallory passes off the honest peer's prekey as her own, to learn what is sealed to her.
		const hers = { ...prekey, peer: mallory.peer };
		await expect(prekeys.open(await createSealer(owner).seal(hers, text))).rejects.toBeInstanceOf(
			SealedMessageError,
		);
		prekeys.close();
	});
});

describe("sign-in", () => {
	const domain = "relay.example.org";
	const request = { domain, uri: `https://${domain}/`, chainId, now: start };
	const gate = createSignInGate({ domain, chainId, now: () => start });

	test("attack 20: signed on another site, reused, or signed by another wallet", async () => {
		const phished = await signIn(victim, {
			...request,
			domain: "evil.example",
			uri: "https://evil.example/",
			nonce: gate.nonce(),
		});
		await expect(gate.verify(phished)).rejects.toBeInstanceOf(SignInDomainError);
		const relabelled = phished.message.replaceAll("evil.example", domain);
		await expect(gate.verify({ ...phished, message: relabelled })).rejects.toBeInstanceOf(SignInForgedError);
		const made = await signIn(victim, { ...request, nonce: gate.nonce() });
		await gate.verify(made);
		await expect(gate.verify(made)).rejects.toBeInstanceOf(SignInNonceError);
		const next = made.message.replace(/Nonce: \w+/, `Nonce: ${gate.nonce()}`);
		await expect(gate.verify({ ...made, message: next })).rejects.toBeInstanceOf(SignInForgedError);
		const impostor = { ...malloryWallet, address: victim.address };
		const forged = await signIn(impostor, { ...request, nonce: gate.nonce() });
		await expect(gate.verify(forged)).rejects.toBeInstanceOf(SignInForgedError);
	});

	test("attack 21: a sign-in text with lines added, or made to read otherwise than it is", async () => {
		const { message, signature } = await signIn(victim, {
			...request,
			nonce: gate.nonce(),
			statement: "Hello.",
		});
		for (const changed of [
			message.replace("Hello.", "Hello.\n\nURI: https://evil.example/"),
			`${message}\nResources:\n- https://${domain}/admin`,
			message.replace("\n\n", "\r\n\r\n"),
			message.replace(domain, `${domain} `),
			`https://${message}`,
		]) {
			await expect(gate.verify({ message: changed, signature })).rejects.toBeInstanceOf(TabmeshError);
		}
	});
});

test("attack 23: mutations of a genuine sign-in", async () => {
	const domain = "relay.example.org";
	const gate = createSignInGate({ domain, chainId, now: () => start });
	const request = { domain, uri: `https://${domain}/`, chainId, now: start, nonce: gate.nonce() };
	const { message, signature } = await signIn(victim, request);
	const texts = mutation([new TextEncoder().encode(message)]).map((bytes) =>
		new TextDecoder("latin1").decode(bytes),
	);
	let accepted = 0;
	await fc.assert(
		fc.asyncProperty(texts, async (changed) => {
			await gate.verify({ message: changed, signature }).then(
				() => accepted++,
				(error) => expect(error).toBeInstanceOf(TabmeshError),
			);
		}),
		{ numRuns: fuzzRuns },
	);
	expect(accepted).toBe(0);
	await gate.verify({ message, signature });
});

test("attack 22: 10,000 mutations of a genuine delegation", async () => {
	const fresh = verifier();
	let accepted = 0;
	await fc.assert(
		fc.asyncProperty(mutation([genuine]), async (bytes) => {
			await fresh.verify(bytes, demand).then(
				() => accepted++,
				(error) => expect(error).toBeInstanceOf(TabmeshError),
			);
		}),
		{ numRuns: fuzzRuns },
	);
	expect(accepted).toBe(0);
});

/** Bytes that differ from all of `originals`: with bits turned, cut, extended, a part repeated, or made up. */
function mutation(originals: readonly Uint8Array[]): fc.Arbitrary<Uint8Array> {
	const original = fc.constantFrom(...originals);
	const turned = fc
		.tuple(
			original,
			fc.array(fc.tuple(fc.nat(), fc.integer({ min: 1, max: 255 })), { minLength: 1, maxLength: 3 }),
		)
		.map(([bytes, turns]) => {
			const out = bytes.slice();
			for (const [at, mask] of turns) out[at % out.length]! ^= mask;
			return out;
		});
	const cut = fc.tuple(original, fc.nat()).map(([bytes, at]) => bytes.slice(0, at % bytes.length));
	const repeated = fc.tuple(original, fc.nat(), fc.nat()).map(([bytes, a, b]) => {
		const [from, to] = [a % bytes.length, b % bytes.length].toSorted((x, y) => x - y);
		return new Uint8Array([...bytes.subarray(0, to), ...bytes.subarray(from)]);
	});
	return fc
		.oneof(
			{ weight: 2, arbitrary: turned },
			{ weight: 2, arbitrary: cut },
			{ weight: 1, arbitrary: repeated },
			{ weight: 2, arbitrary: fc.uint8Array({ maxLength: 512 }) },
		)
		.filter((bytes) => originals.every((known) => Buffer.compare(known, bytes) !== 0));
}
