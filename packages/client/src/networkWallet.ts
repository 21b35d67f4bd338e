import type { Cstore } from "@tabmesh/cstore";
import type { ContractVerifier, PeerIdentity } from "@tabmesh/dauth";
import type { EmbeddedWallet, HeldDelegation, Keepsakes, Wallet } from "@tabmesh/dauth/wallet";
import { InvalidParameterError, WalletUnavailableError } from "@tabmesh/wire";
import { TypedEventEmitter } from "main-event";
import type {
	DelegateOptions,
	DelegationView,
	DeviceWallet,
	FoundWallet,
	PassphraseOptions,
	VerifiedDelegation,
	WalletView,
} from "./deviceWallet.ts";
import type { RoomDelegations } from "./roomDelegations.ts";

/** What of the network a wallet needs. */
export interface WalletNetwork {
	readonly identity: PeerIdentity;
	/** The chain that wallets sign for. */
	readonly chain: { readonly id: number; readonly rpc?: string | undefined };
	/** Node: folder of the embedded wallet and delegations. */
	readonly folder: string | undefined;
	/** Shared state of the room, opened when first called. */
	state(): Promise<Cstore>;
}

/** What this peer is delegated to do. */
const scopes = ["ask", "lend"] as const;

/** Shared state keeps revocations for 30 days: a delegation that lives longer could outlive its own. */
const longestLifetime = 30 * 24 * 3600;

/** Installed wallets announce themselves when they are asked; a slow extension takes a moment. */
const announceMs = 300;

/** viem is large, and who has no wallet needs none of it. */
const parts = () => import("@tabmesh/dauth/wallet");

const nothing: WalletView = {
	kind: undefined,
	address: undefined,
	guarded: false,
	locked: false,
	persistent: true,
	delegation: undefined,
	revoked: false,
};

/** The wallet of this device on one network: kept or installed, delegating to this peer, shown to the room. */
export class NetworkWallet extends TypedEventEmitter<{ change: Event }> implements DeviceWallet {
	readonly #network: WalletNetwork;
	#keepsakes: Promise<Keepsakes> | undefined;
	#room: Promise<RoomDelegations> | undefined;
	#wallet: Wallet | undefined;
	#held: HeldDelegation | undefined;
	#view = nothing;

	constructor(network: WalletNetwork) {
		super();
		this.#network = network;
	}

	get view(): WalletView {
		return this.#view;
	}

	async load(): Promise<WalletView> {
		const { heldDelegation } = await parts();
		const held = await heldDelegation(await this.#wanted());
		await this.#show(held);
		if (held) await this.#publish(held);
		return this.#view;
	}

	async create(options: PassphraseOptions = {}): Promise<string> {
		const { openEmbeddedWallet } = await parts();
		const wallet = await openEmbeddedWallet(await this.#kept(), options);
		const phrase = await wallet.exportPhrase(options);
		await this.#take(wallet);
		return phrase;
	}

	async unlock(options: PassphraseOptions = {}): Promise<void> {
		await this.#take(await this.#openKept(options));
	}

	async importPhrase(phrase: string, options: PassphraseOptions & { replace?: boolean } = {}): Promise<void> {
		const { importEmbeddedWallet } = await parts();
		await this.#take(await importEmbeddedWallet(await this.#kept(), phrase, options));
	}

	async exportPhrase(options: PassphraseOptions = {}): Promise<string> {
		return (await this.#openKept(options)).exportPhrase(options);
	}

	async changePassphrase(change: Parameters<EmbeddedWallet["changePassphrase"]>[0]): Promise<void> {
		const { current, next: _, ...watch } = change;
		const wallet = await this.#openKept({
			...watch,
			...(current === undefined ? {} : { passphrase: current }),
		});
		await wallet.changePassphrase(change);
		await this.#take(wallet);
	}

	async watchInstalled(
		onChange: (wallets: readonly FoundWallet[]) => void,
		signal?: AbortSignal,
	): Promise<void> {
		const { watchWallets } = await parts();
		watchWallets({ onChange, ...(signal ? { signal } : {}) });
	}

	async use(wallet: FoundWallet | Wallet): Promise<void> {
		if (!("provider" in wallet)) return this.#take(wallet);
		const { connectWallet, reconnectWallet } = await parts();
		// Whoever let this page in before is not asked again.
		await this.#take((await reconnectWallet(wallet.provider)) ?? (await connectWallet(wallet.provider)));
	}

	async delegate({
		lifetimeSeconds = longestLifetime,
		signal,
	}: DelegateOptions = {}): Promise<DelegationView> {
		if (!(lifetimeSeconds > 0 && lifetimeSeconds <= longestLifetime)) {
			throw new InvalidParameterError("A delegation lives for at most 30 days.", {
				details: { lifetimeSeconds },
			});
		}
		const { ensureDelegation } = await parts();
		const wanted = await this.#wanted();
		const wallet = await this.#signer();
		const held = await ensureDelegation(wallet, {
			...wanted,
			lifetimeSeconds,
			...(signal ? { signal } : {}),
		});
		await this.#show(held);
		await this.#publish(held);
		return this.#view.delegation!;
	}

	async revoke(): Promise<void> {
		const held = this.#held;
		if (!held) throw new WalletUnavailableError("This peer acts for no wallet.");
		const { forgetDelegation, signRevocation } = await parts();
		const revocation = await signRevocation(await this.#signer(held.wallet), held.bytes);
		const room = await this.#delegations();
		await room.revoke(revocation);
		await forgetDelegation(await this.#wanted());
		await this.#show(undefined, true);
	}

	async of(peer: string, scope = "lend"): Promise<VerifiedDelegation | undefined> {
		return (await this.#delegations()).of(peer, scope);
	}

	/** Ends what listens. */
	async close(): Promise<void> {
		(await this.#room?.catch(() => undefined))?.close();
	}

	#kept(): Promise<Keepsakes> {
		const { folder } = this.#network;
		this.#keepsakes ??= parts().then(({ openKeepsakes }) =>
			openKeepsakes(folder === undefined ? {} : { folder }),
		);
		return this.#keepsakes;
	}

	/** The embedded wallet, never made here. */
	async #openKept(options: PassphraseOptions): Promise<EmbeddedWallet> {
		const { keptWallet, openEmbeddedWallet } = await parts();
		const keepsakes = await this.#kept();
		if (!(await keptWallet(keepsakes))) {
			throw new WalletUnavailableError("No wallet is kept on this device.", {
				metaMessages: ["Make one, or bring one from its recovery phrase."],
			});
		}
		return openEmbeddedWallet(keepsakes, options);
	}

	/** Opens the room's delegations with the first use. */
	#delegations(): Promise<RoomDelegations> {
		this.#room ??= this.#openDelegations().catch((error) => {
			this.#room = undefined;
			throw error;
		});
		return this.#room;
	}

	async #openDelegations(): Promise<RoomDelegations> {
		const { chain, identity } = this.#network;
		const [{ RoomDelegations }, cstore, contracts] = await Promise.all([
			import("./roomDelegations.ts"),
			this.#network.state(),
			this.#contracts(),
		]);
		return new RoomDelegations(cstore, {
			self: identity.peer,
			chainId: chain.id,
			contracts,
			onRevoked: () => void this.#recheck().catch(() => {}),
		});
	}

	async #contracts(): Promise<ContractVerifier | undefined> {
		const { id, rpc } = this.#network.chain;
		if (rpc === undefined) return undefined;
		const { createContractVerifier } = await import("@tabmesh/ledger");
		return createContractVerifier({ id, rpc });
	}

	async #wanted() {
		const [keepsakes, contracts, revocations] = await Promise.all([
			this.#kept(),
			this.#contracts(),
			this.#delegations().catch(() => undefined),
		]);
		const { chain, identity } = this.#network;
		return {
			identity,
			keepsakes,
			chainId: chain.id,
			scopes,
			...(contracts ? { contracts } : {}),
			...(revocations ? { revocations } : {}),
		};
	}

	/** What can sign: the wallet in use, or the one kept here where it needs no passphrase. */
	async #signer(address?: string): Promise<Wallet> {
		const wallet = this.#wallet ?? (await this.#letIn(address)) ?? (await this.#openKept({}));
		if (address === undefined || wallet.address === address) {
			this.#wallet = wallet;
			return wallet;
		}
		throw new WalletUnavailableError(`Only the wallet ${address} can do this.`, {
			metaMessages: ["Choose it among the installed wallets, or bring it from its recovery phrase."],
		});
	}

	/** The installed wallet of this address, where it let this page in before: finding it opens no window. */
	async #letIn(address: string | undefined): Promise<Wallet | undefined> {
		if (address === undefined || !("document" in globalThis)) return undefined;
		const { reconnectWallet, watchWallets } = await parts();
		let found: readonly FoundWallet[] = [];
		const enough = AbortSignal.timeout(announceMs);
		watchWallets({
			onChange: (wallets) => {
				found = wallets;
			},
			signal: enough,
		});
		await new Promise((resolve) => enough.addEventListener("abort", resolve, { once: true }));
		for (const { provider } of found) {
			const wallet = await reconnectWallet(provider).catch(() => undefined);
			if (wallet?.address === address) return wallet;
		}
		return undefined;
	}

	async #take(wallet: Wallet): Promise<void> {
		this.#wallet = wallet;
		const { heldDelegation } = await parts();
		const held = await heldDelegation(await this.#wanted());
		await this.#show(held?.wallet === wallet.address ? held : undefined);
	}

	async #publish(held: HeldDelegation): Promise<void> {
		await (await this.#delegations()).publish(held.bytes);
		if (this.#held !== held) return;
		this.#become({ ...this.#view, delegation: { ...this.#view.delegation!, published: true } });
	}

	/** Somebody spread a revocation: ours may be the one that is meant. */
	async #recheck(): Promise<void> {
		if (!this.#held) return;
		const { heldDelegation } = await parts();
		const held = await heldDelegation(await this.#wanted());
		if (!held) await this.#show(undefined, true);
	}

	async #show(held: HeldDelegation | undefined, revoked = false): Promise<void> {
		const { keptWallet } = await parts();
		const keepsakes = await this.#kept();
		const kept = await keptWallet(keepsakes);
		const address = this.#wallet?.address ?? held?.wallet ?? kept?.address;
		const embedded = address !== undefined && address === kept?.address && this.#wallet?.kind !== "injected";
		this.#held = held;
		this.#become({
			kind: address === undefined ? undefined : embedded ? "embedded" : "injected",
			address,
			guarded: embedded && kept.locked,
			locked: embedded && kept.locked && this.#wallet === undefined,
			persistent: keepsakes.persistent,
			delegation: held && {
				wallet: held.wallet,
				scopes: held.scopes,
				expires: held.expires,
				published: false,
			},
			revoked,
		});
	}

	#become(view: WalletView): void {
		this.#view = view;
		this.dispatchEvent(new Event("change"));
	}
}
