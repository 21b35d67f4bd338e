import { limits, WalletUnavailableError } from "@tabmesh/wire";
import { createWalletClient, custom, type EIP1193Provider, type Hex, type TypedDataDefinition } from "viem";
import { getAddress, hexToBytes, isHex, numberToHex } from "viem/utils";
import type { Wallet } from "./wallet.ts";
import { walletFailure } from "./walletFailure.ts";

/** A wallet that its owner installed, behind an EIP-1193 provider. */
export interface InjectedWallet extends Wallet {
	readonly kind: "injected";
}

/**
 * The wallet behind a provider, if its owner let this page see it before. Never opens a window, so it may run on load.
 *
 * @throws WalletUnavailableError
 */
export async function reconnectWallet(provider: EIP1193Provider): Promise<InjectedWallet | undefined> {
	const address = firstAddress(await ask(() => provider.request({ method: "eth_accounts" })));
	return address && walletAt(provider, address);
}

/**
 * Asks the owner to let this page use the wallet. Opens the wallet's window: call it on a click only.
 *
 * @throws WalletRejectedError, WalletUnavailableError
 */
export async function connectWallet(provider: EIP1193Provider): Promise<InjectedWallet> {
	const address = firstAddress(await ask(() => provider.request({ method: "eth_requestAccounts" })));
	if (!address) throw new WalletUnavailableError("The wallet has no account.");
	return walletAt(provider, address);
}

function walletAt(provider: EIP1193Provider, address: Hex): InjectedWallet {
	// A repeated request would be a second window.
	const transport = custom(provider, { retryCount: 0 });
	const client = createWalletClient({ account: address, transport });

	const moveTo = async (chainId: number): Promise<void> => {
		if ((await client.getChainId()) === chainId) return;
		await client.request({
			method: "wallet_switchEthereumChain",
			params: [{ chainId: numberToHex(chainId) }],
		});
	};
	return {
		kind: "injected",
		address,
		account: client.account,
		transport,
		async signTypedData(typed: TypedDataDefinition) {
			return ask(async () => {
				const chainId = typed.domain?.chainId;
				if (chainId !== undefined) await moveTo(Number(chainId));
				return signatureBytes(await client.signTypedData(typed));
			});
		},
		async signMessage(message) {
			return ask(async () => signatureBytes(await client.signMessage({ message })));
		},
	};
}

/** A provider is a stranger, too: what it answers is looked at before it is used. */
function firstAddress(accounts: unknown): Hex | undefined {
	const first = Array.isArray(accounts) ? accounts[0] : undefined;
	if (first === undefined) return undefined;
	try {
		return getAddress(first);
	} catch (cause) {
		throw new WalletUnavailableError("The wallet's account is not an address.", { cause });
	}
}

function signatureBytes(signature: unknown): Uint8Array {
	if (!isHex(signature) || signature.length % 2 !== 0 || signature.length < 4) {
		throw new WalletUnavailableError("The wallet's signature is not one.");
	}
	const bytes = hexToBytes(signature);
	if (bytes.byteLength > limits.walletSignatureBytes) {
		throw new WalletUnavailableError("The wallet's signature is longer than any that peers accept.", {
			details: { bytes: bytes.byteLength, maxBytes: limits.walletSignatureBytes },
		});
	}
	return bytes;
}

async function ask<T>(work: () => Promise<T>): Promise<T> {
	try {
		return await work();
	} catch (cause) {
		throw walletFailure(cause);
	}
}
