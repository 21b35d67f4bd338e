import type { EIP1193Provider } from "viem";

/** A wallet that is installed in this browser (EIP-6963). Finding it asks its owner nothing. */
export interface FoundWallet {
	/** Identifies it in this page. */
	readonly uuid: string;
	readonly name: string;
	/** A `data:image/…` URI, for an `<img>` and nothing else; empty when it gave none that is safe. */
	readonly icon: string;
	/** Reverse domain name, the same on every visit: `io.metamask`. */
	readonly rdns: string;
	/** For `connectWallet` and `reconnectWallet`. */
	readonly provider: EIP1193Provider;
}

export interface WatchWalletsOptions {
	/** Called with all wallets found so far, whenever there is another. */
	onChange: (wallets: readonly FoundWallet[]) => void;
	/** Ends the watch. */
	signal?: AbortSignal;
	/** @default the page's window */
	target?: EventTarget;
}

// Any extension can announce as often as it likes.
const mostWallets = 32;
const longestText = 64;
// A PNG of 128 × 128; EIP-6963 recommends 96 × 96.
const longestIcon = 128 * 1024;

/**
 * Finds the wallets that are installed in this browser. They may announce themselves at any time, so this goes on
 * until `signal` ends it. It never opens a wallet's window.
 *
 * @see https://eips.ethereum.org/EIPS/eip-6963
 */
export function watchWallets({
	onChange,
	signal,
	target = globalThis as unknown as EventTarget,
}: WatchWalletsOptions): void {
	if (signal?.aborted) return;
	const found = new Map<string, FoundWallet>();
	const take = (event: Event): void => {
		const wallet = readAnnouncement((event as CustomEvent<unknown>).detail);
		if (!wallet || found.has(wallet.uuid) || found.size >= mostWallets) return;
		found.set(wallet.uuid, wallet);
		onChange([...found.values()]);
	};
	target.addEventListener("eip6963:announceProvider", take, signal ? { signal } : {});
	target.dispatchEvent(new Event("eip6963:requestProvider"));
}

function readAnnouncement(detail: unknown): FoundWallet | undefined {
	if (typeof detail !== "object" || detail === null) return undefined;
	const { info, provider } = detail as { info?: unknown; provider?: unknown };
	if (typeof info !== "object" || info === null || typeof provider !== "object" || provider === null) {
		return undefined;
	}
	const { uuid, name, icon, rdns } = info as Record<string, unknown>;
	if (!isShort(uuid) || !isShort(name) || !isShort(rdns)) return undefined;
	if (typeof (provider as { request?: unknown }).request !== "function") return undefined;
	const safeIcon =
		typeof icon === "string" && icon.length <= longestIcon && /^data:image\/[a-z.+-]+[;,]/.test(icon)
			? icon
			: "";
	return { uuid, name, icon: safeIcon, rdns, provider: provider as EIP1193Provider };
}

function isShort(value: unknown): value is string {
	return typeof value === "string" && value.length > 0 && value.length <= longestText;
}
