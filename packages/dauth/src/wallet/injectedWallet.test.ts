import { WalletRejectedError, WalletUnavailableError } from "@tabmesh/wire";
import { recoverMessageAddress } from "viem";
import { generatePrivateKey } from "viem/accounts";
import { describe, expect, test } from "vitest";
import { createIdentity } from "../createIdentity.ts";
import { connectWallet, type FoundWallet, reconnectWallet, signDelegation, watchWallets } from "./index.ts";
import { createTestProvider } from "./injectedProvider.fixture.ts";

const wanted = async (chainId: number) => ({
	peer: (await createIdentity()).peer,
	scopes: ["lend"],
	chainId,
});

describe("an installed wallet", () => {
	test("is found and reconnected without opening its window, and connected with it", async () => {
		const { account, provider, state } = createTestProvider(generatePrivateKey());
		expect(await reconnectWallet(provider)).toBeUndefined();
		expect(state.windows).toBe(0);
		expect((await connectWallet(provider)).address).toBe(account.address);
		expect(state.windows).toBe(1);
		expect((await reconnectWallet(provider))?.address).toBe(account.address);
		expect(state.windows).toBe(1);
	});

	test("signs messages, and is moved to the chain that a delegation is for", async () => {
		const { account, provider, state } = createTestProvider(generatePrivateKey(), 1);
		const wallet = await connectWallet(provider);
		const signature = await wallet.signMessage("hello");
		expect(await recoverMessageAddress({ message: "hello", signature })).toBe(account.address);
		await signDelegation(wallet, await wanted(31337));
		expect(state.chainId).toBe(31337);
	});

	test("whose owner declines, that is elsewhere, or that answers nonsense gives a typed error", async () => {
		const { provider, state } = createTestProvider(generatePrivateKey());
		state.reject = true;
		await expect(connectWallet(provider)).rejects.toThrow(WalletRejectedError);
		state.reject = false;
		const wallet = await connectWallet(provider);
		state.reject = true;
		await expect(wallet.signMessage("no")).rejects.toThrow(WalletRejectedError);
		await expect(signDelegation(wallet, await wanted(1))).rejects.toThrow(WalletRejectedError);
		state.reject = false;
		await expect(signDelegation(wallet, await wanted(999))).rejects.toMatchObject({
			code: "WalletUnavailable",
			details: { code: 4902 },
		});
		for (const answer of ["0x", "0x123", "nonsense", { r: 1 }, `0x${"00".repeat(5000)}`]) {
			state.answer = answer;
			await expect(wallet.signMessage("hello")).rejects.toThrow(WalletUnavailableError);
		}
		const request = async () => ["not an address"];
		const on = () => {};
		const liar = { request, on, removeListener: on } as unknown as typeof provider;
		await expect(connectWallet(liar)).rejects.toThrow(WalletUnavailableError);
	});
});

describe("looking for installed wallets (EIP-6963)", () => {
	const announce = (target: EventTarget, info: object, provider: unknown = { request() {} }) => {
		const detail = Object.freeze({ info: Object.freeze(info), provider });
		target.dispatchEvent(new CustomEvent("eip6963:announceProvider", { detail }));
	};
	const info = { uuid: "1", name: "A wallet", icon: "data:image/png;base64,AA==", rdns: "org.example" };

	test("finds those that answer and those that come late, each once, until it is ended", () => {
		const target = new EventTarget();
		const ending = new AbortController();
		let found: readonly FoundWallet[] = [];
		target.addEventListener("eip6963:requestProvider", () => announce(target, info));
		watchWallets({ target, signal: ending.signal, onChange: (wallets) => (found = wallets) });
		expect(found.map(({ name }) => name)).toEqual(["A wallet"]);
		announce(target, info);
		announce(target, { ...info, uuid: "2" });
		expect(found).toHaveLength(2);
		ending.abort();
		announce(target, { ...info, uuid: "3" });
		expect(found).toHaveLength(2);
	});

	test("passes over what is malformed, drops icons that are not images, and keeps a limit", () => {
		const target = new EventTarget();
		let found: readonly FoundWallet[] = [];
		watchWallets({ target, onChange: (wallets) => (found = wallets) });
		target.dispatchEvent(new Event("eip6963:announceProvider"));
		announce(target, { ...info, name: "x".repeat(65) });
		announce(target, { ...info, uuid: 7 });
		announce(target, info, {});
		expect(found).toHaveLength(0);
		announce(target, { ...info, icon: "javascript:alert(1)" });
		expect(found[0]?.icon).toBe("");
		for (let i = 0; i < 100; i++) announce(target, { ...info, uuid: `many ${i}` });
		expect(found).toHaveLength(32);
	});
});
