import {
	InvalidParameterError,
	SignInDomainError,
	SignInError,
	SignInForgedError,
	SignInNonceError,
	SignInTimeError,
} from "@tabmesh/wire";
import type { Hex } from "viem";
import { describe, expect, test } from "vitest";
import {
	createMemoryKeepsakes,
	createSignInGate,
	openEmbeddedWallet,
	type SignInGateInit,
	signIn,
} from "./index.ts";

const wallet = await openEmbeddedWallet(createMemoryKeepsakes());
const domain = "relay.example.org";
const uri = "https://relay.example.org/v1";
const start = 1_800_000_000_000;

function gateAt(init: Partial<SignInGateInit> = {}) {
	const clock = { time: start };
	const gate = createSignInGate({ domain, chainId: 1, now: () => clock.time, ...init });
	const make = (change: Partial<Parameters<typeof signIn>[1]> = {}) =>
		signIn(wallet, { domain, uri, chainId: 1, nonce: gate.nonce(), now: clock.time, ...change });
	return { clock, gate, make };
}

describe("a sign-in (ERC-4361)", () => {
	test("says in plain words what it is, and tells the gateway who signed in and until when", async () => {
		const { gate, make } = gateAt();
		const made = await make({
			statement: "Use this gateway.",
			resources: ["https://relay.example.org/models"],
		});
		expect(made.message).toContain(
			`${domain} wants you to sign in with your Ethereum account:\n${wallet.address}`,
		);
		expect(made.message).toContain("Use this gateway.");
		expect(await gate.verify(made)).toEqual({
			wallet: wallet.address,
			expires: start + 3_600_000,
			resources: ["https://relay.example.org/models"],
		});
	});

	test("opens the gate once, also when it comes eight times at the same moment", async () => {
		const { gate, make } = gateAt();
		const made = await make();
		const results = await Promise.allSettled(Array.from({ length: 8 }, () => gate.verify(made)));
		expect(results.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
		await expect(gate.verify(made)).rejects.toThrow(SignInNonceError);
	});

	test("for another site, another path's owner or another chain is refused", async () => {
		const { gate, make } = gateAt();
		for (const wrong of [
			{ domain: "relay.example.com" },
			{ uri: "https://evil.example/v1" },
			{ uri: "http://relay.example.org/v1" },
			{ uri: "https://relay.example.org.evil.example/" },
			{ chainId: 5 },
		]) {
			await expect(gate.verify(await make(wrong))).rejects.toThrow(SignInDomainError);
		}
		const local = gateAt({ domain: "localhost:8080" });
		const made = await local.make({ domain: "localhost:8080", uri: "http://localhost:8080/" });
		await local.gate.verify(made);
	});

	test("is over when it says so, never lasts longer than a day, and its nonce waits five minutes", async () => {
		const { clock, gate, make } = gateAt();
		const short = await make({ lifetimeMs: 1000 });
		const late = await make();
		await expect(gate.verify(await make({ lifetimeMs: 25 * 3_600_000 }))).rejects.toThrow(SignInTimeError);
		await expect(gate.verify(await make({ now: start + 10 * 60_000 }))).rejects.toThrow(SignInTimeError);
		clock.time += 1000;
		await expect(gate.verify(short)).rejects.toThrow(SignInTimeError);
		clock.time += 5 * 60_000;
		await expect(gate.verify(late)).rejects.toThrow(SignInNonceError);
	});

	test("needs a nonce that this gate gave out", async () => {
		const { gate, make } = gateAt();
		const stranger = gateAt();
		for (const nonce of ["12345678", "0".repeat(64), stranger.gate.nonce()]) {
			await expect(gate.verify(await make({ nonce }))).rejects.toThrow(SignInNonceError);
		}
		const secret = new Uint8Array(32).fill(7);
		const [here, there] = [gateAt({ secret }), gateAt({ secret })];
		await there.gate.verify(await here.make());
	});

	test("that was changed in one character, or signed by another, is refused", async () => {
		const { gate, make } = gateAt();
		const made = await make();
		const other = await openEmbeddedWallet(createMemoryKeepsakes());
		const others = await signIn(
			{ ...other, address: wallet.address },
			{ domain, uri, chainId: 1, nonce: gate.nonce(), now: start },
		);
		await expect(gate.verify(others)).rejects.toThrow(SignInForgedError);
		for (const message of [
			`${made.message} `,
			`x${made.message}`,
			made.message.replace("Version: 1", "Version: 2"),
			made.message.replace(wallet.address, wallet.address.toLowerCase()),
			"",
			"x".repeat(10_000),
		]) {
			await expect(gate.verify({ ...made, message })).rejects.toThrow(SignInError);
		}
		for (const signature of ["0x", "0x12", "zz", `${made.signature}00`, undefined] as Hex[]) {
			await expect(gate.verify({ ...made, signature })).rejects.toThrow(SignInForgedError);
		}
		await gate.verify(made);
	});

	test("of a contract wallet asks the chain once for each nonce", async () => {
		let asked = 0;
		const contracts = {
			async isValidSignature() {
				asked++;
				return true;
			},
		};
		const { gate } = gateAt({ contracts });
		const address = "0x000000000000000000000000000000000000dEaD";
		const nonce = gate.nonce();
		const made = await signIn({ ...wallet, address }, { domain, uri, chainId: 1, nonce, now: start });
		expect((await gate.verify(made)).wallet).toBe(address);
		await expect(gate.verify(made)).rejects.toThrow(SignInNonceError);
		expect(asked).toBe(1);
		const blind = gateAt();
		await expect(blind.gate.verify(await blind.make({ nonce: blind.gate.nonce() }))).resolves.toBeDefined();
	});

	test("remembers a bounded number of used nonces, and still none is used twice", async () => {
		const { clock, gate, make } = gateAt({ capacity: 5 });
		const used = [];
		for (let i = 0; i < 20; i++) {
			clock.time += 1;
			used.push(await make());
		}
		for (const made of used) await gate.verify(made);
		for (const made of used) await expect(gate.verify(made)).rejects.toThrow(SignInNonceError);
		clock.time += 1;
		await gate.verify(await make());
	});

	test("that cannot be said is refused before the wallet is asked", async () => {
		const { make } = gateAt();
		await expect(make({ statement: "two\nlines" })).rejects.toThrow(InvalidParameterError);
		await expect(make({ nonce: "short" })).rejects.toThrow(InvalidParameterError);
	});
});
