import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { createIdentity } from "@tabmesh/dauth";
import {
	createDelegationVerifier,
	type DelegationVerifier,
	signDelegation,
	type Wallet,
} from "@tabmesh/dauth/wallet";
import {
	ChainError,
	ChainUnreachableError,
	DelegationForgedError,
	DelegationUncheckedError,
	InvalidParameterError,
	WrongChainError,
} from "@tabmesh/wire";
import { encodeAbiParameters, getContractAddress, type Hex, keccak256, parseAbi } from "viem";
import { generatePrivateKey, privateKeyToAccount } from "viem/accounts";
import {
	encodeDeployData,
	encodeFunctionData,
	hashTypedData,
	hexToBytes,
	serializeErc6492Signature,
} from "viem/utils";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startAnvil } from "./anvil.fixture.ts";
import { createContractVerifier } from "./index.ts";
import {
	burningWalletCode,
	floodingWalletCode,
	ownedWalletCode,
	revertingWalletCode,
	walletFactoryCode,
} from "./wallets.fixture.ts";

const chainId = 31_337;
const owner = privateKeyToAccount(generatePrivateKey());
const stranger = privateKeyToAccount(generatePrivateKey());
const hash = keccak256("0x7ab1e5");
const ownedAbi = parseAbi(["constructor(address owner)", "function handOver(address to)"]);
const factoryAbi = parseAbi(["function make(address owner, bytes32 salt) returns (address)"]);
const signs = async (account: typeof owner, what: Hex = hash) =>
	hexToBytes(await account.sign({ hash: what }));
const ownedBy = (address: Hex) =>
	encodeDeployData({ abi: ownedAbi, bytecode: ownedWalletCode, args: [address] });

let anvil: Awaited<ReturnType<typeof startAnvil>>;
let wallet: Hex;
let factory: Hex;
beforeAll(async () => {
	anvil = await startAnvil(chainId);
	wallet = await anvil.deploy(ownedBy(owner.address));
	factory = await anvil.deploy(walletFactoryCode);
});
afterAll(() => anvil.stop());

const verifier = () => createContractVerifier({ id: chainId, rpc: anvil.rpc });
const ask = (signature: Uint8Array, at: Hex = wallet) =>
	verifier().isValidSignature({ chainId, wallet: at, hash, signature });

/** A wallet that its factory has not made yet. */
function unmade() {
	const salt = generatePrivateKey();
	const made = { abi: factoryAbi, functionName: "make", args: [owner.address, salt] } as const;
	return {
		address: getContractAddress({
			opcode: "CREATE2",
			from: factory,
			salt,
			bytecode: ownedBy(owner.address),
		}),
		made,
		wrap: async (account: typeof owner, by: Hex = factory) =>
			hexToBytes(
				serializeErc6492Signature({
					address: by,
					data: encodeFunctionData(made),
					signature: await account.sign({ hash }),
				}),
			),
	};
}

describe("a contract wallet's signature", () => {
	test("holds where its contract says so, and only there", async () => {
		expect(await ask(await signs(owner))).toBe(true);
		expect(await ask(await signs(stranger))).toBe(false);
		expect(await ask(await signs(owner, keccak256("0x00")))).toBe(false);
		expect(await ask(new Uint8Array(1))).toBe(false);
		expect(await ask(new Uint8Array(4096).fill(7))).toBe(false);
	});

	test("holds no more when the wallet has another owner", async () => {
		const own = await anvil.deploy(ownedBy(anvil.client.account.address));
		const signature = hexToBytes(await anvil.client.account.sign!({ hash }));
		expect(await ask(signature, own)).toBe(true);
		const sent = await anvil.client.writeContract({
			address: own,
			abi: ownedAbi,
			functionName: "handOver",
			args: [stranger.address],
		});
		await anvil.client.waitForTransactionReceipt({ hash: sent });
		expect(await ask(signature, own)).toBe(false);
	});

	test("holds before the wallet is deployed if it brings its factory along (ERC-6492), and after", async () => {
		const { address, made, wrap } = unmade();
		expect(await ask(await signs(owner), address)).toBe(false);
		expect(await ask(await wrap(stranger), address)).toBe(false);
		expect(await ask(await wrap(owner, stranger.address), address)).toBe(false);
		expect(await ask(await wrap(owner), stranger.address)).toBe(false);
		expect(await ask(await wrap(owner), address)).toBe(true);
		// Asking has made nothing.
		expect(await anvil.client.getCode({ address })).toBeUndefined();
		const sent = await anvil.client.writeContract({ address: factory, ...made });
		await anvil.client.waitForTransactionReceipt({ hash: sent });
		expect(await ask(await wrap(owner), address)).toBe(true);
		expect(await ask(await signs(owner), address)).toBe(true);
	});

	test("is none where it only ends as one of a wallet not yet deployed does", async () => {
		const magic = hexToBytes("0x6492649264926492649264926492649264926492649264926492649264926492");
		for (const bytes of [magic, new Uint8Array([...new Uint8Array(100).fill(255), ...magic])]) {
			expect(await ask(bytes)).toBe(false);
		}
	});

	test("is none where nothing, a key, or a precompile lives at the address", async () => {
		const signature = await signs(owner);
		expect(await ask(signature, owner.address)).toBe(false);
		expect(await ask(signature, "0x0000000000000000000000000000000000000004")).toBe(false);
		expect(await ask(signature, "0x00000000000000000000000000000000000000aa")).toBe(false);
	});

	test.each([
		["reverts", revertingWalletCode],
		["burns its gas", burningWalletCode],
		["floods its asker", floodingWalletCode],
	] as const)("is none where the wallet %s", async (_, code) => {
		expect(await ask(await signs(owner), await anvil.deploy(code))).toBe(false);
	});
});

describe("a chain that does not answer as it should", () => {
	/** A node that is none. */
	async function serving(answer: (body: string) => string | undefined): Promise<string> {
		const server = createServer(async (request, response) => {
			let body = "";
			for await (const piece of request) body += piece;
			const text = answer(body);
			if (text !== undefined) response.setHeader("content-type", "application/json").end(text);
		});
		await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
		servers.push(server);
		return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
	}
	const servers: ReturnType<typeof createServer>[] = [];
	afterAll(() => {
		for (const server of servers) server.closeAllConnections();
		for (const server of servers) server.close();
	});
	const asked = async (rpc: string, options?: { signal?: AbortSignal }) =>
		createContractVerifier({ id: chainId, rpc }, { timeoutMs: 200 }).isValidSignature(
			{ chainId, wallet, hash, signature: await signs(owner) },
			options,
		);
	const result = (text: string) => () => JSON.stringify({ jsonrpc: "2.0", id: 1, result: text });

	test("is a typed error and never a no: down, silent, refusing, or answering nonsense", async () => {
		await expect(asked("http://127.0.0.1:9")).rejects.toThrow(ChainUnreachableError);
		await expect(asked(await serving(() => undefined))).rejects.toThrow(ChainUnreachableError);
		const refusing = { jsonrpc: "2.0", id: 1, error: { code: -32005, message: "too many requests" } };
		await expect(asked(await serving(() => JSON.stringify(refusing)))).rejects.toThrow(ChainUnreachableError);
		await expect(asked(await serving(() => "<html>"))).rejects.toThrow(ChainUnreachableError);
		await expect(asked(await serving(result("0x")))).rejects.toThrow(ChainError);
		await expect(asked(await serving(result("0x01")))).rejects.toThrow(ChainError);
		await expect(asked(await serving(result(`0x${"ff".repeat(64)}`)))).rejects.toThrow(ChainError);
		await expect(asked(await serving(result(`0x${"00".repeat(4096)}`)))).rejects.toThrow(ChainError);
	});

	test("is a typed error where the node is another chain's, whatever it says", async () => {
		const yes = encodeAbiParameters([{ type: "bool" }, { type: "uint256" }], [true, 1n]);
		await expect(asked(await serving(result(yes)))).rejects.toThrow(WrongChainError);
		const other = await startAnvil(999);
		await expect(asked(other.rpc)).rejects.toThrow(WrongChainError);
		await other.stop();
		const elsewhere = { chainId: 1, wallet, hash, signature: new Uint8Array(65) };
		await expect(verifier().isValidSignature(elsewhere)).rejects.toThrow(WrongChainError);
	});

	test("is let go of when its asker stops waiting", async () => {
		const enough = new AbortController();
		const asking = asked(await serving(() => undefined), { signal: enough.signal });
		enough.abort(new Error("enough"));
		await expect(asking).rejects.toThrow("enough");
	});

	test.each([
		{ id: 0, rpc: "http://127.0.0.1:1" },
		{ id: 1.5, rpc: "http://127.0.0.1:1" },
		{ id: 1, rpc: "file:///etc/passwd" },
		{ id: 1, rpc: "http://" },
	])("cannot even be named: %o", (chain) => {
		expect(() => createContractVerifier(chain)).toThrow(InvalidParameterError);
	});
});

describe("a delegation from a contract wallet", () => {
	/** A wallet app of a contract's owner: what it signs is for the contract. */
	const contractWallet = (address: Hex, seal: (hash: Hex) => Promise<Hex>): Wallet => ({
		kind: "injected",
		address,
		account: owner,
		transport: undefined,
		signTypedData: async (typed) => hexToBytes(await seal(hashTypedData(typed))),
		signMessage: () => Promise.reject(new Error("not asked")),
	});
	const delegate = async (address: Hex, seal = (hash: Hex) => owner.sign({ hash })) => {
		const { peer } = await createIdentity();
		const bytes = await signDelegation(contractWallet(address, seal), { peer, scopes: ["lend"], chainId });
		return { bytes, demand: { peer, scope: "lend" } };
	};
	const peers = (contracts = verifier()): DelegationVerifier =>
		createDelegationVerifier({ chainId, contracts });

	test("holds for peers who ask the chain, once, and then from memory while the chain is away", async () => {
		const { bytes, demand } = await delegate(wallet);
		let questions = 0;
		const asking = verifier();
		const verifying = peers({
			isValidSignature: async (call, options) => {
				if (questions++ > 0) throw new Error("the chain is away");
				return asking.isValidSignature(call, options);
			},
		});
		for (let shown = 0; shown < 5; shown++) {
			expect((await verifying.verify(bytes, demand)).wallet).toBe(wallet);
		}
		expect(questions).toBe(1);
	});

	test("holds before the wallet is deployed", async () => {
		const { address, made } = unmade();
		const { bytes, demand } = await delegate(address, async (hash) =>
			serializeErc6492Signature({
				address: factory,
				data: encodeFunctionData(made),
				signature: await owner.sign({ hash }),
			}),
		);
		expect((await peers().verify(bytes, demand)).wallet).toBe(address);
	});

	test("of somebody else is refused, and cannot be judged while no chain answers", async () => {
		const forged = await delegate(wallet, (hash) => stranger.sign({ hash }));
		await expect(peers().verify(forged.bytes, forged.demand)).rejects.toThrow(DelegationForgedError);
		const { bytes, demand } = await delegate(wallet);
		const away = createContractVerifier({ id: chainId, rpc: "http://127.0.0.1:9" });
		const refusal = await peers(away)
			.verify(bytes, demand)
			.catch((error: unknown) => error);
		expect(refusal).toBeInstanceOf(DelegationUncheckedError);
		expect((refusal as Error).cause).toBeInstanceOf(ChainUnreachableError);
	});
});
