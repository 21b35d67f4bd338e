import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import { createTestClient, getAddress, type Hex, http, publicActions, walletActions } from "viem";
import { privateKeyToAccount } from "viem/accounts";

/** The first of anvil's own accounts. */
const fundedKey = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";

/** The program itself: its wrapper does not pass the end of its parent on. */
function anvilPath(): string {
	const platform = { darwin: "darwin", linux: "linux", win32: "win32" }[process.platform as string];
	const processor = { x64: "amd64", arm64: "arm64" }[process.arch as string];
	const file = process.platform === "win32" ? "anvil.exe" : "anvil";
	return createRequire(import.meta.url).resolve(`@foundry-rs/anvil-${platform}-${processor}/bin/${file}`);
}

/** A chain of our own in a process of its own, on a free port. */
export async function startAnvil(chainId: number) {
	const child: ChildProcess = spawn(
		anvilPath(),
		["--port", "0", "--host", "127.0.0.1", "--chain-id", `${chainId}`],
		{ stdio: ["ignore", "pipe", "inherit"] },
	);
	let rpc = "";
	for await (const line of createInterface({ input: child.stdout! })) {
		const at = /Listening on (127\.0\.0\.1:\d+)/.exec(line);
		if (at) {
			rpc = `http://${at[1]}`;
			break;
		}
	}
	child.stdout!.resume();
	if (!rpc) throw new Error("anvil did not start");
	const chain = {
		id: chainId,
		name: "anvil",
		nativeCurrency: { name: "Ether", symbol: "ETH", decimals: 18 },
		rpcUrls: { default: { http: [rpc] } },
	} as const;
	const client = createTestClient({
		mode: "anvil",
		chain,
		transport: http(rpc),
		account: privateKeyToAccount(fundedKey),
		pollingInterval: 20,
	})
		.extend(publicActions)
		.extend(walletActions);
	return {
		rpc,
		client,
		async deploy(creation: Hex): Promise<Hex> {
			const hash = await client.sendTransaction({ data: creation });
			const { contractAddress } = await client.waitForTransactionReceipt({ hash });
			return getAddress(contractAddress!);
		},
		async stop(): Promise<void> {
			if (child.exitCode !== null || child.signalCode !== null) return;
			child.kill();
			await once(child, "exit");
		},
	};
}
