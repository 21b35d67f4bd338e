import {
	type Delegation,
	DelegationForgedError,
	DelegationRevokedError,
	DelegationUncheckedError,
	decodeCbor,
	encodeCbor,
	InvalidParameterError,
	limits,
	signedDelegationSchema,
	WalletRejectedError,
} from "@tabmesh/wire";
import { type Hex, hashTypedData } from "viem";
import { generatePrivateKey } from "viem/accounts";
import { hexToBytes } from "viem/utils";
import { describe, expect, test } from "vitest";
import { createIdentity } from "../createIdentity.ts";
import {
	type ContractVerifier,
	cacheContractVerifier,
	connectWallet,
	createDelegationVerifier,
	createMemoryKeepsakes,
	delegationHash,
	ensureDelegation,
	forgetDelegation,
	heldDelegation,
	openEmbeddedWallet,
	signDelegation,
	signedRevocations,
	signRevocation,
	type Wallet,
} from "./index.ts";
import { createTestProvider } from "./injectedProvider.fixture.ts";

const start = 1_800_000_000_000;
const chainId = 31337;
const identity = await createIdentity();
const wallet = await openEmbeddedWallet(createMemoryKeepsakes());
const demand = { peer: identity.peer, scope: "lend" };
const sign = (init: Partial<Parameters<typeof signDelegation>[1]> = {}) =>
	signDelegation(wallet, { peer: identity.peer, scopes: ["lend", "ask"], chainId, now: start, ...init });

/** A contract wallet with one owner, as ERC-1271 has it: any signature of the owner over the hash is the contract's. */
function contractWallet(address: Hex, owner: Wallet) {
	const state = { asked: 0, reachable: true, deployed: true };
	const contracts: ContractVerifier = {
		async isValidSignature(call) {
			state.asked++;
			if (!state.reachable) throw new Error("no answer from the chain");
			const { recoverSigner } = await import("./keySignature.ts");
			return (
				state.deployed &&
				call.wallet === address &&
				(await recoverSigner(call.hash, call.signature)) === owner.address
			);
		},
	};
	const speaking: Wallet = { ...owner, address };
	return { contracts, state, wallet: speaking };
}

describe("a delegation", () => {
	test("is the EIP-712 hash of its seven fields, spelled out", async () => {
		const delegation = {
			wallet: new Uint8Array(20).fill(0x11),
			peer: new Uint8Array(32).fill(0x22),
			scopes: ["lend"],
			chainId,
			notBefore: 1,
			expiry: 2,
			nonce: new Uint8Array(32).fill(0x33),
		} satisfies Delegation;
		expect(delegationHash(delegation)).toBe(
			hashTypedData({
				domain: { name: "Tabmesh", version: "1", chainId },
				primaryType: "Delegation",
				types: {
					Delegation: [
						{ name: "wallet", type: "address" },
						{ name: "peer", type: "bytes32" },
						{ name: "scopes", type: "string[]" },
						{ name: "chainId", type: "uint256" },
						{ name: "notBefore", type: "uint64" },
						{ name: "expiry", type: "uint64" },
						{ name: "nonce", type: "bytes32" },
					],
				},
				message: {
					wallet: `0x${"11".repeat(20)}`,
					peer: `0x${"22".repeat(32)}`,
					scopes: ["lend"],
					chainId: 31337n,
					notBefore: 1n,
					expiry: 2n,
					nonce: `0x${"33".repeat(32)}`,
				},
			}),
		);
	});

	test("binds a peer to a wallet, offline, as often as it is shown", async () => {
		const bytes = await sign();
		const verifier = createDelegationVerifier({ chainId, now: () => start });
		for (let shown = 0; shown < 3; shown++) {
			expect(await verifier.verify(bytes, demand)).toMatchObject({
				wallet: wallet.address,
				peer: identity.peer,
				scopes: ["lend", "ask"],
			});
		}
		await verifier.verify(bytes, { ...demand, scope: "ask" });
	});

	test("cannot say what is outside its limits, and the wallet is not even asked", async () => {
		const { provider, state } = createTestProvider(generatePrivateKey());
		const installed = await connectWallet(provider);
		const windows = state.windows;
		const terms = { peer: identity.peer, scopes: ["lend"], chainId, now: start };
		for (const wrong of [
			{ scopes: [] },
			{ scopes: ["Lend everything"] },
			{ scopes: ["a", "a"] },
			{ chainId: 0 },
			{ lifetimeSeconds: limits.delegationSeconds + 1 },
			{ lifetimeSeconds: -1000 },
		]) {
			await expect(signDelegation(installed, { ...terms, ...wrong })).rejects.toThrow(InvalidParameterError);
		}
		expect(state.windows).toBe(windows);
	});
});

describe("a contract wallet (ERC-1271)", () => {
	const address = "0x000000000000000000000000000000000000dEaD";

	test("is asked through the chain, and its answer believed for the stated time", async () => {
		let clock = start;
		const { contracts, state, wallet: safe } = contractWallet(address, wallet);
		const bytes = await signDelegation(safe, { peer: identity.peer, scopes: ["lend"], chainId, now: start });
		expect(decodeCbor(signedDelegationSchema, bytes, 8192).contract).toBe(true);
		const verifier = createDelegationVerifier({ chainId, contracts, now: () => clock });
		expect((await verifier.verify(bytes, demand)).wallet).toBe(address);
		await Promise.all([verifier.verify(bytes, demand), verifier.verify(bytes, demand)]);
		expect(state.asked).toBe(1);
		state.deployed = false;
		clock += 10 * 60_000 - 1;
		await verifier.verify(bytes, demand);
		clock += 1;
		await expect(verifier.verify(bytes, demand)).rejects.toThrow(DelegationForgedError);
		expect(state.asked).toBe(2);
	});

	test("is refused, not believed, where no chain answers", async () => {
		const { contracts, state, wallet: safe } = contractWallet(address, wallet);
		const bytes = await signDelegation(safe, { peer: identity.peer, scopes: ["lend"], chainId, now: start });
		const blind = createDelegationVerifier({ chainId, now: () => start });
		await expect(blind.verify(bytes, demand)).rejects.toThrow(DelegationUncheckedError);
		state.reachable = false;
		const cut = createDelegationVerifier({ chainId, contracts, now: () => start });
		await expect(cut.verify(bytes, demand)).rejects.toThrow(DelegationUncheckedError);
		state.reachable = true;
		await cut.verify(bytes, demand);
	});

	test("that never answers does not hold anybody up, and a flood of them is refused", async () => {
		const contracts = cacheContractVerifier(
			{ isValidSignature: () => new Promise<never>(() => {}) },
			{ timeoutMs: 20, concurrency: 2 },
		);
		const ask = (byte: number) =>
			contracts.isValidSignature({
				chainId,
				wallet: address,
				hash: "0x00",
				signature: new Uint8Array([byte]),
			});
		const asked = await Promise.allSettled([ask(1), ask(2), ask(3)]);
		for (const { status } of asked) expect(status).toBe("rejected");
		const stopping = new AbortController();
		const revocations = { isRevoked: () => new Promise<never>(() => {}) };
		const verifier = createDelegationVerifier({ chainId, revocations, now: () => start });
		const waiting = verifier.verify(await sign(), { ...demand, signal: stopping.signal });
		stopping.abort(new Error("stopped"));
		await expect(waiting).rejects.toThrow("stopped");
	});
});

describe("a revoked delegation", () => {
	test("is refused at most the stated delay after the view knows it", async () => {
		let clock = start;
		let revoked = false;
		let asked = 0;
		const revocations = {
			async isRevoked() {
				asked++;
				return revoked;
			},
		};
		const init = { chainId, revocations, revocationDelayMs: 60_000, now: () => clock };
		const verifier = createDelegationVerifier(init);
		const bytes = await sign();
		await verifier.verify(bytes, demand);
		revoked = true;
		clock += 59_999;
		await verifier.verify(bytes, demand);
		expect(asked).toBe(1);
		clock += 1;
		await expect(verifier.verify(bytes, demand)).rejects.toThrow(DelegationRevokedError);
		await expect(verifier.verify(bytes, demand)).rejects.toThrow(DelegationRevokedError);
		await expect(createDelegationVerifier(init).verify(bytes, demand)).rejects.toThrow(
			DelegationRevokedError,
		);
	});

	test("is not let through when the view is out of reach for longer than the delay", async () => {
		let clock = start;
		let reachable = true;
		const revocations = {
			async isRevoked() {
				if (!reachable) throw new Error("offline");
				return false;
			},
		};
		const verifier = createDelegationVerifier({ chainId, revocations, now: () => clock });
		const bytes = await sign();
		await verifier.verify(bytes, demand);
		reachable = false;
		clock += 10 * 60_000;
		await expect(verifier.verify(bytes, demand)).rejects.toThrow(DelegationUncheckedError);
		reachable = true;
		await verifier.verify(bytes, demand);
	});

	test("can be taken back without a chain, by its own wallet alone, from a store that holds rubbish, too", async () => {
		const bytes = await sign();
		const other = await sign();
		const store: Uint8Array[] = [new Uint8Array([1]), await signRevocation(wallet, other)];
		const revocations = signedRevocations(async () => store);
		const verify = () =>
			createDelegationVerifier({ chainId, revocations, now: () => start }).verify(bytes, demand);
		await verify();
		const stranger = await openEmbeddedWallet(createMemoryKeepsakes());
		await expect(signRevocation(stranger, bytes)).rejects.toThrow(DelegationForgedError);
		store.push(await signRevocation({ ...stranger, address: wallet.address }, bytes));
		await verify();
		store.push(await signRevocation(wallet, bytes));
		await expect(verify()).rejects.toThrow(DelegationRevokedError);
	});
});

describe("the delegation of this device", () => {
	const setUp = async () => {
		const { provider, state } = createTestProvider(generatePrivateKey(), chainId);
		const clock = { time: start };
		const now = () => clock.time;
		const installed = await connectWallet(provider);
		state.windows = 0;
		return {
			clock,
			state,
			installed,
			wanted: { identity, keepsakes: createMemoryKeepsakes(), chainId, now },
		};
	};

	test("is asked for once, and not again on reload while it holds", async () => {
		const { clock, installed, state, wanted } = await setUp();
		expect(await heldDelegation({ ...wanted, scopes: ["lend"] })).toBeUndefined();
		const made = await Promise.all(
			Array.from({ length: 5 }, () => ensureDelegation(installed, { ...wanted, scopes: ["lend"] })),
		);
		expect(state.windows).toBe(1);
		expect(new Set(made.map(({ id }) => id)).size).toBe(1);
		clock.time += 29 * 86_400_000;
		expect((await heldDelegation({ ...wanted, scopes: ["lend"] }))?.id).toBe(made[0]!.id);
		await ensureDelegation(installed, { ...wanted, scopes: ["lend"] });
		expect(state.windows).toBe(1);
		clock.time += 86_400_000;
		expect(await heldDelegation({ ...wanted, scopes: ["lend"] })).toBeUndefined();
		await ensureDelegation(installed, { ...wanted, scopes: ["lend"] });
		expect(state.windows).toBe(2);
	});

	test("grows by what another service asks for, so that two of them do not replace each other's", async () => {
		const { installed, state, wanted } = await setUp();
		await ensureDelegation(installed, { ...wanted, scopes: ["lend"] });
		await ensureDelegation(installed, { ...wanted, scopes: ["vote"] });
		expect((await ensureDelegation(installed, { ...wanted, scopes: ["lend"] })).scopes).toEqual([
			"lend",
			"vote",
		]);
		expect(state.windows).toBe(2);
	});

	test("is another one for another peer, another wallet or after it was revoked or forgotten", async () => {
		const { installed, state, wanted } = await setUp();
		const scopes = ["lend"];
		const { bytes } = await ensureDelegation(installed, { ...wanted, scopes });
		await ensureDelegation(installed, { ...wanted, scopes, identity: await createIdentity() });
		expect(state.windows).toBe(2);
		const revocations = { isRevoked: async () => true };
		await expect(ensureDelegation(installed, { ...wanted, scopes, revocations })).rejects.toThrow(
			DelegationRevokedError,
		);
		await forgetDelegation(wanted);
		expect(await heldDelegation({ ...wanted, scopes })).toBeUndefined();
		const embedded = await ensureDelegation(wallet, { ...wanted, scopes });
		expect(embedded.wallet).toBe(wallet.address);
		expect(embedded.bytes).not.toEqual(bytes);
	});

	test("is kept when chain and revocations are out of reach, and nothing is kept when its owner declines", async () => {
		const { installed, state, wanted } = await setUp();
		const scopes = ["lend"];
		state.reject = true;
		await expect(ensureDelegation(installed, { ...wanted, scopes })).rejects.toThrow(WalletRejectedError);
		expect(await heldDelegation({ ...wanted, scopes })).toBeUndefined();
		state.reject = false;
		await ensureDelegation(installed, { ...wanted, scopes });
		const revocations = { isRevoked: () => Promise.reject(new Error("offline")) };
		expect(await heldDelegation({ ...wanted, scopes, revocations })).toBeDefined();
	});
});

test("a wallet that counts v from 0, or gives the higher s, is understood, and peers see the one form", async () => {
	const { recoverSigner } = await import("./keySignature.ts");
	const order = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n;
	const odd = (change: (signature: Uint8Array) => void): Wallet => ({
		...wallet,
		async signTypedData(typed) {
			const signature = await wallet.signTypedData(typed);
			change(signature);
			return signature;
		},
	});
	const highS = (signature: Uint8Array) => {
		const s = order - BigInt(`0x${Buffer.from(signature.subarray(32, 64)).toString("hex")}`);
		signature.set(hexToBytes(`0x${s.toString(16).padStart(64, "0")}`), 32);
		signature[64] = signature[64] === 27 ? 28 : 27;
	};
	const fromZero = (signature: Uint8Array) => {
		signature[64]! -= 27;
	};
	for (const change of [highS, fromZero]) {
		const bytes = await signDelegation(odd(change), {
			peer: identity.peer,
			scopes: ["lend"],
			chainId,
			now: start,
		});
		const signed = decodeCbor(signedDelegationSchema, bytes, 8192);
		expect(signed.contract).toBe(false);
		const hash = delegationHash(signed.delegation);
		expect(await recoverSigner(hash, signed.signature)).toBe(wallet.address);
		change(signed.signature);
		expect(await recoverSigner(hash, signed.signature)).toBeUndefined();
		expect(encodeCbor(signed)).not.toEqual(bytes);
	}
});
