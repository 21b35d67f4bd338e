import type {
	EmbeddedWallet,
	FoundWallet,
	PassphraseOptions,
	VerifiedDelegation,
	Wallet,
} from "@tabmesh/dauth/wallet";

export type { FoundWallet, PassphraseOptions, VerifiedDelegation };

/** The delegation by which this peer acts for a wallet. */
export interface DelegationView {
	/** The wallet, EIP-55. */
	readonly wallet: string;
	readonly scopes: readonly string[];
	/** Milliseconds since 1970. */
	readonly expires: number;
	/** Whether it lies in the room's shared state, where every peer can check it. */
	readonly published: boolean;
}

/** The wallet of this device, all that a person wants to see. */
export interface WalletView {
	/** `embedded`: kept on this device; `injected`: installed in the browser; undefined: there is none yet. */
	readonly kind: "embedded" | "injected" | undefined;
	/** EIP-55. */
	readonly address: string | undefined;
	/** Whether a passphrase guards it. */
	readonly guarded: boolean;
	/** Whether it needs that passphrase before it can sign. */
	readonly locked: boolean;
	/** Whether it is here after a restart; false where this browser keeps nothing for us. */
	readonly persistent: boolean;
	/** While it holds, nobody is asked again. */
	readonly delegation: DelegationView | undefined;
	/** Whether the wallet took its delegation back, here or on another device. */
	readonly revoked: boolean;
}

/** What is delegated to this peer. */
export interface DelegateOptions {
	/** @default 30 days, which is the longest: revocations are kept as long */
	lifetimeSeconds?: number;
	signal?: AbortSignal;
}

/**
 * The wallet that this device acts for. Nothing is made and nobody asked before one of the methods is called; call those
 * that say so from a click.
 */
export interface DeviceWallet {
	/** A fresh object at every `change` event. */
	readonly view: WalletView;
	/** Looks at what is kept here, and shows the delegation to the room if one holds. Asks nobody, makes nothing. */
	load(): Promise<WalletView>;
	/**
	 * Makes the embedded wallet.
	 *
	 * @returns its recovery phrase, for its owner to write down
	 * @throws KeyStorageError, InsecureOriginError; WrongPassphraseError where there is one already, under another passphrase
	 */
	create(options?: PassphraseOptions): Promise<string>;
	/** Opens the embedded wallet. @throws WrongPassphraseError, KeyStorageError */
	unlock(options?: PassphraseOptions): Promise<void>;
	/**
	 * Keeps the wallet of a recovery phrase on this device.
	 *
	 * @throws RecoveryPhraseError; WalletExistsError when another one is kept here and `replace` is not set
	 */
	importPhrase(phrase: string, options?: PassphraseOptions & { replace?: boolean }): Promise<void>;
	/** The embedded wallet's recovery phrase. @throws WrongPassphraseError, KeyStorageError */
	exportPhrase(options?: PassphraseOptions): Promise<string>;
	/** @throws WrongPassphraseError, KeyStorageError */
	changePassphrase(change: Parameters<EmbeddedWallet["changePassphrase"]>[0]): Promise<void>;
	/** Tells which wallets are installed in this browser (EIP-6963), until `signal` ends it. Asks nobody. */
	watchInstalled(onChange: (wallets: readonly FoundWallet[]) => void, signal?: AbortSignal): Promise<void>;
	/**
	 * Uses an installed wallet, or one that a program brings along. An installed one may open its window: call it on a click.
	 *
	 * @throws WalletRejectedError, WalletUnavailableError
	 */
	use(wallet: FoundWallet | Wallet): Promise<void>;
	/**
	 * Has the wallet sign that this peer acts for it, unless it did and that holds, and shows it to the room. An installed
	 * wallet opens its window: call it on a click.
	 *
	 * @throws WalletRejectedError, WalletUnavailableError, WrongPassphraseError, DelegationError
	 */
	delegate(options?: DelegateOptions): Promise<DelegationView>;
	/**
	 * Has the wallet take the delegation back. Peers that are connected refuse it as soon as the room's shared state has
	 * reached them, which takes seconds; who was away, when he has caught up.
	 *
	 * @throws WalletRejectedError, WalletUnavailableError, WrongPassphraseError
	 */
	revoke(): Promise<void>;
	/**
	 * The wallet for which a peer acts, checked here and now; undefined where it shows none.
	 *
	 * @param scope - what it must cover. @default "lend"
	 * @throws DelegationError: forged, over, revoked, for another chain, or not to be checked now
	 */
	of(peer: string, scope?: string): Promise<VerifiedDelegation | undefined>;
	addEventListener(type: "change", listener: (event: Event) => void): void;
	removeEventListener(type: "change", listener: (event: Event) => void): void;
}
