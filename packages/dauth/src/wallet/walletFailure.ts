import { TabmeshError, WalletRejectedError, WalletUnavailableError } from "@tabmesh/wire";

// EIP-1193: the person said no.
const rejected = 4001;

/** The typed error for what an EIP-1193 provider threw, whatever viem wrapped around it. */
export function walletFailure(cause: unknown): TabmeshError {
	if (cause instanceof TabmeshError) return cause;
	let error: unknown = cause;
	for (let depth = 0; depth < 8 && typeof error === "object" && error !== null; depth++) {
		const { code } = error as { code?: unknown };
		if (code === rejected) return new WalletRejectedError("The wallet's owner declined.", { cause });
		if (typeof code === "number") {
			return new WalletUnavailableError("The wallet refused.", {
				cause,
				metaMessages: ["Unlock it, choose the right account and network there, and try again."],
				details: { code },
			});
		}
		error = (error as { cause?: unknown }).cause;
	}
	return new WalletUnavailableError("The wallet does not answer as wallets do.", { cause });
}
