import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { createTestProvider } from "@tabmesh/dauth/testing";
import {
	createMemoryKeepsakes,
	openEmbeddedWallet,
	signDelegation,
	signRevocation,
} from "@tabmesh/dauth/wallet";
import { type Relay, startRelay } from "@tabmesh/relay";
import {
	DelegationChainError,
	DelegationForgedError,
	DelegationPeerError,
	DelegationRevokedError,
	DelegationUncheckedError,
	InvalidParameterError,
	WalletRejectedError,
	WalletUnavailableError,
	WrongPassphraseError,
} from "@tabmesh/wire";
import { encodeDeployData, parseAbi } from "viem";
import { generatePrivateKey } from "viem/accounts";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { startAnvil } from "../../ledger/src/anvil.fixture.ts";
import { ownedWalletCode } from "../../ledger/src/wallets.fixture.ts";
import { type ConnectOptions, connect, type Tabmesh } from "./index.ts";
import { nonceOf } from "./roomDelegations.ts";

// The default takes seconds on a busy machine.
const scryptN = 2 ** 12;
let relay: Relay;
let folder: string;
const open: Tabmesh[] = [];

beforeAll(async () => {
	relay = await startRelay({ port: 0, site: () => ({ room: "public", models: [], minStages: 1 }) });
	folder = await mkdtemp(path.join(tmpdir(), "tabmesh-wallet-"));
});
afterEach(async () => {
	for (const mesh of open.splice(0)) await mesh.close();
});
afterAll(async () => {
	await relay.stop();
	await rm(folder, { recursive: true, force: true });
});

async function join(options: ConnectOptions = {}): Promise<Tabmesh> {
	const mesh = await connect({ relay: relay.url, ...options });
	open.push(mesh);
	return mesh;
}

/** This peer and what it keeps, the same at every visit. */
const device = (name: string): ConnectOptions => ({
	keyFile: path.join(folder, `${name}.pem`),
	walletDir: path.join(folder, name),
});

const found = (provider: ReturnType<typeof createTestProvider>["provider"]) =>
	({ uuid: "1", name: "Test", icon: "", rdns: "org.example.test", provider }) as const;

async function seen(mesh: Tabmesh, peer: string) {
	await mesh.state();
	return expect.poll(() => mesh.wallet.of(peer).catch((error: unknown) => error), { timeout: 20_000 });
}

describe("the embedded wallet of a device", () => {
	test("is nothing before somebody wants it, and then one delegation that every peer checks", async () => {
		const alice = await join(device("alice"));
		expect(await alice.wallet.load()).toMatchObject({ kind: undefined, delegation: undefined });
		expect(existsSync(path.join(folder, "alice"))).toBe(false);
		await expect(alice.wallet.delegate()).rejects.toThrow(WalletUnavailableError);
		await expect(alice.wallet.unlock()).rejects.toThrow(WalletUnavailableError);
		expect(existsSync(path.join(folder, "alice"))).toBe(false);

		const phrase = await alice.wallet.create();
		expect(phrase.split(" ")).toHaveLength(12);
		const { address } = alice.wallet.view;
		expect(alice.wallet.view).toMatchObject({ kind: "embedded", locked: false, delegation: undefined });
		expect(await alice.wallet.delegate()).toMatchObject({ wallet: address, published: true });
		const bob = await join();
		await (await seen(bob, alice.peer)).toMatchObject({ wallet: address, peer: alice.peer });
		expect((await bob.wallet.of(alice.peer, "ask"))?.wallet).toBe(address);
		expect(await bob.wallet.of(bob.peer)).toBeUndefined();

		await alice.close();
		const again = await join(device("alice"));
		await expect.poll(() => again.wallet.view.delegation?.published, { timeout: 20_000 }).toBe(true);
		expect(again.wallet.view).toMatchObject({ kind: "embedded", address });
	});

	test("signs nothing while it is locked, and its phrase brings it to another device", async () => {
		const carol = await join(device("carol"));
		const phrase = await carol.wallet.create({ passphrase: "correct horse", scryptN });
		const { address } = carol.wallet.view;
		await carol.close();

		const again = await join(device("carol"));
		expect(await again.wallet.load()).toMatchObject({ kind: "embedded", address, locked: true });
		await expect(again.wallet.delegate()).rejects.toThrow(WrongPassphraseError);
		await expect(again.wallet.unlock({ passphrase: "wrong" })).rejects.toThrow(WrongPassphraseError);
		expect(again.wallet.view.locked).toBe(true);
		await again.wallet.unlock({ passphrase: "correct horse" });
		expect(again.wallet.view.locked).toBe(false);
		expect(await again.wallet.exportPhrase({ passphrase: "correct horse" })).toBe(phrase);
		await again.wallet.delegate();

		const elsewhere = await join();
		await elsewhere.wallet.importPhrase(phrase, { passphrase: "other", scryptN });
		expect(elsewhere.wallet.view).toMatchObject({ kind: "embedded", address, persistent: false });
		await elsewhere.wallet.changePassphrase({ current: "other", next: "another", scryptN });
		expect(await elsewhere.wallet.exportPhrase({ passphrase: "another" })).toBe(phrase);
	});
});

describe("an installed wallet", () => {
	test("is asked for one signature, and never again while the delegation holds", async () => {
		const { provider, state, account } = createTestProvider(generatePrivateKey());
		const dave = await join(device("dave"));
		await dave.wallet.load();
		expect(state.windows).toBe(0);
		await dave.wallet.use(found(provider));
		expect(dave.wallet.view).toMatchObject({ kind: "injected", address: account.address });
		await dave.wallet.delegate();
		// One to let the page see it, one to sign.
		expect(state.windows).toBe(2);
		await dave.wallet.delegate();
		await dave.close();

		const again = await join(device("dave"));
		await expect.poll(() => again.wallet.view.delegation?.wallet, { timeout: 20_000 }).toBe(account.address);
		await again.wallet.use(found(provider));
		await again.wallet.delegate();
		expect(state.windows).toBe(2);
		const bob = await join();
		await (await seen(bob, again.peer)).toMatchObject({ wallet: account.address });
	});

	test("that its owner declines leaves everything as it was", async () => {
		const { provider, state } = createTestProvider(generatePrivateKey());
		const erin = await join();
		state.reject = true;
		await expect(erin.wallet.use(found(provider))).rejects.toThrow(WalletRejectedError);
		state.reject = false;
		await erin.wallet.use(found(provider));
		state.reject = true;
		await expect(erin.wallet.delegate()).rejects.toThrow(WalletRejectedError);
		expect(erin.wallet.view).toMatchObject({ kind: "injected", delegation: undefined });
		expect(await erin.wallet.of(erin.peer)).toBeUndefined();
	});
});

describe("a delegation that was taken back", () => {
	test("is refused by peers that are here and by those who come later, whoever shows it again", async () => {
		const wallet = await openEmbeddedWallet(createMemoryKeepsakes());
		const frank = await join({ ...device("frank"), wallet });
		const bob = await join();
		await (await seen(bob, frank.peer)).toMatchObject({ wallet: wallet.address });
		const state = await frank.state();
		const shown = state.get(`peer/${frank.peer}/delegation`) as Uint8Array;
		await frank.wallet.revoke();
		expect(frank.wallet.view).toMatchObject({ delegation: undefined, revoked: true });
		await (await seen(bob, frank.peer)).toBeUndefined();
		// A thief of the peer key has the delegation, and shows it again.
		await state.set(`peer/${frank.peer}/delegation`, shown);
		await (await seen(bob, frank.peer)).toBeInstanceOf(DelegationRevokedError);
		const late = await join();
		await (await seen(late, frank.peer)).toBeInstanceOf(DelegationRevokedError);
		// The owner may delegate anew, and is asked for it.
		await frank.wallet.delegate();
		await (await seen(late, frank.peer)).toMatchObject({ wallet: wallet.address });
		await expect(bob.wallet.revoke()).rejects.toThrow(WalletUnavailableError);
	});

	test("is known to its own page when the wallet did it on another device", async () => {
		const wallet = await openEmbeddedWallet(createMemoryKeepsakes());
		const [grace, other] = [await join({ wallet }), await join()];
		const shown = (await grace.state()).get(`peer/${grace.peer}/delegation`) as Uint8Array;
		const revocation = await signRevocation(wallet, shown);
		await (await other.state()).set(`peer/${other.peer}/revoked/${nonceOf(shown)}`, revocation);
		await expect.poll(() => grace.wallet.view.revoked, { timeout: 20_000 }).toBe(true);
		await expect(grace.wallet.of(grace.peer)).rejects.toThrow(DelegationRevokedError);
	});

	test("was taken back by its wallet: what anybody else signs or scribbles there does not count", async () => {
		const heidi = await join({ wallet: await openEmbeddedWallet(createMemoryKeepsakes()) });
		const shown = (await heidi.state()).get(`peer/${heidi.peer}/delegation`) as Uint8Array;
		const mallory = await openEmbeddedWallet(createMemoryKeepsakes());
		const vandal = await join();
		const theirs = await signDelegation(mallory, { peer: vandal.peer, scopes: ["lend"], chainId: 1 });
		const state = await vandal.state();
		const name = `peer/${vandal.peer}/revoked/${nonceOf(shown)}`;
		for (const scribble of [
			Uint8Array.from(await signRevocation(mallory, theirs)),
			new Uint8Array(10),
			"revoked",
			null,
		]) {
			await state.set(name, scribble);
			await expect
				.poll(() => heidi.state().then((own) => own.get(name)), { timeout: 20_000 })
				.toEqual(scribble);
			expect(await heidi.wallet.of(heidi.peer)).toMatchObject({ peer: heidi.peer });
			expect(heidi.wallet.view.revoked).toBe(false);
		}
	});
});

test("a peer that shows another's delegation, a forged one or one of another chain acts for nobody", async () => {
	const wallet = await openEmbeddedWallet(createMemoryKeepsakes());
	const [ivan, judy] = [await join({ wallet }), await join()];
	const state = await judy.state();
	const key = `peer/${judy.peer}/delegation`;
	const terms = { peer: judy.peer, scopes: ["lend"], chainId: 1 };
	const forged = await signDelegation(
		{ ...(await openEmbeddedWallet(createMemoryKeepsakes())), address: wallet.address },
		terms,
	);
	for (const [bytes, ErrorClass] of [
		[(await ivan.state()).get(`peer/${ivan.peer}/delegation`) as Uint8Array, DelegationPeerError],
		[await signDelegation(wallet, { ...terms, chainId: 5 }), DelegationChainError],
		// It says that a contract signed, and nobody here knows a chain.
		[forged, DelegationUncheckedError],
	] as const) {
		await state.set(key, bytes);
		await (await seen(ivan, judy.peer)).toBeInstanceOf(ErrorClass);
	}
	await expect(ivan.wallet.delegate({ lifetimeSeconds: 31 * 24 * 3600 })).rejects.toThrow(
		InvalidParameterError,
	);
});

test("a contract wallet delegates, and peers that know its chain check it there", async () => {
	const anvil = await startAnvil(31_337);
	try {
		const owner = await openEmbeddedWallet(createMemoryKeepsakes());
		const address = await anvil.deploy(
			encodeDeployData({
				abi: parseAbi(["constructor(address owner)"]),
				bytecode: ownedWalletCode,
				args: [owner.address],
			}),
		);
		const chain = { id: 31_337, rpc: anvil.rpc };
		const kim = await join({ chain, wallet: { ...owner, address } });
		expect(kim.wallet.view.delegation).toMatchObject({ wallet: address, published: true });
		const [knows, knowsNot] = [await join({ chain }), await join({ chain: { id: chain.id } })];
		await (await seen(knows, kim.peer)).toMatchObject({ wallet: address });
		await (await seen(knowsNot, kim.peer)).toBeInstanceOf(DelegationUncheckedError);
		const stranger = await openEmbeddedWallet(createMemoryKeepsakes());
		await expect(connect({ relay: relay.url, chain, wallet: { ...stranger, address } })).rejects.toThrow(
			DelegationForgedError,
		);
	} finally {
		await anvil.stop();
	}
});
