import { generateMnemonic, validateMnemonic } from "@scure/bip39";
import { wordlist } from "@scure/bip39/wordlists/english";
import {
	decodeCbor,
	encodeCbor,
	equalBytes,
	KeyStorageError,
	limits,
	RecoveryPhraseError,
	WalletExistsError,
	type WalletRecord,
	walletRecordSchema,
} from "@tabmesh/wire";
import type { Hex, LocalAccount } from "viem";
import { mnemonicToAccount } from "viem/accounts";
import { bytesToHex, getAddress, hexToBytes } from "viem/utils";
import type { Keepsakes } from "./keepsakes.ts";
import { type DerivationOptions, lockPhrase, type PhraseGuard, unlockPhrase } from "./phraseVault.ts";
import type { Wallet } from "./wallet.ts";

/** A wallet that Tabmesh keeps on this device for its owner. */
export interface EmbeddedWallet extends Wallet {
	readonly kind: "embedded";
	readonly transport: undefined;
	/** Whether this call made it: time to have its owner write the recovery phrase down. */
	readonly fresh: boolean;
	/** Whether it is here after a restart. */
	readonly persistent: boolean;
	/**
	 * The recovery phrase (BIP-39, English), read from the device again.
	 *
	 * @throws WrongPassphraseError, KeyStorageError
	 */
	exportPhrase(options?: PassphraseOptions): Promise<string>;
	/**
	 * Keeps it under another passphrase from now on; without `next`, under the device's own protection alone.
	 *
	 * @throws WrongPassphraseError, KeyStorageError
	 */
	changePassphrase(change: DerivationOptions & { current?: string; next?: string }): Promise<void>;
}

/** The passphrase, where there is one. Deriving the key takes about a second. */
export interface PassphraseOptions extends DerivationOptions {
	passphrase?: string;
}

const keepsakeName = "wallet";

/** A wallet that is kept here, as far as it shows without its passphrase. */
export interface KeptWallet {
	/** EIP-55 checksummed. */
	readonly address: Hex;
	/** Whether it needs a passphrase. */
	readonly locked: boolean;
}

/** The wallet that is kept here, unopened; undefined where there is none. @throws KeyStorageError */
export async function keptWallet(keepsakes: Keepsakes): Promise<KeptWallet | undefined> {
	const record = await readRecord(keepsakes);
	if (!record) return undefined;
	return { address: getAddress(bytesToHex(record.address)), locked: record.guard.by === "passphrase" };
}

/**
 * The wallet of this device, made on first use from a fresh recovery phrase of 12 words (BIP-39; the account is
 * BIP-44's first, `m/44'/60'/0'/0/0`).
 *
 * It is kept under the passphrase (scrypt, AES-256-GCM) if one is given when it is made; else, in a page, under a
 * WebCrypto key that cannot be read out, and in Node by the file's mode alone.
 *
 * @throws WrongPassphraseError when it needs a passphrase and none, or another, is given; KeyStorageError;
 * InsecureOriginError
 *
 * @example
 * ```ts
 * import { openEmbeddedWallet, openKeepsakes } from "@tabmesh/dauth/wallet";
 * const wallet = await openEmbeddedWallet(await openKeepsakes());
 * if (wallet.fresh) show(await wallet.exportPhrase());
 * ```
 */
export async function openEmbeddedWallet(
	keepsakes: Keepsakes,
	options: PassphraseOptions = {},
): Promise<EmbeddedWallet> {
	const kept = await readRecord(keepsakes);
	if (kept) return unlocked(keepsakes, kept, options);
	const phrase = generateMnemonic(wordlist);
	const account = accountOf(phrase);
	const record = await recordOf(account, phrase, await guardOf(keepsakes, options));
	if (await keepsakes.create(keepsakeName, encodeCbor(record))) return walletOf(keepsakes, account, true);
	// Another page of this origin made one meanwhile.
	const others = await readRecord(keepsakes);
	if (!others) throw new KeyStorageError("The wallet that was just made here is gone.");
	return unlocked(keepsakes, others, options);
}

/**
 * Keeps the wallet of a recovery phrase on this device.
 *
 * @param phrase - 12 to 24 English words; case and spaces do not matter
 * @throws RecoveryPhraseError; WalletExistsError when another wallet is kept here and `replace` is not set;
 * KeyStorageError, InsecureOriginError
 */
export async function importEmbeddedWallet(
	keepsakes: Keepsakes,
	phrase: string,
	options: PassphraseOptions & { replace?: boolean } = {},
): Promise<EmbeddedWallet> {
	const words = phrase.normalize("NFKD").trim().toLowerCase().split(/\s+/).join(" ");
	if (!validateMnemonic(words, wordlist)) {
		throw new RecoveryPhraseError("These words are not a recovery phrase.", {
			metaMessages: ["Check the spelling and the order of the 12 to 24 English words."],
			// Never the words themselves: errors travel and are logged.
			details: { words: words === "" ? 0 : words.split(" ").length },
		});
	}
	const account = accountOf(words);
	const record = await recordOf(account, words, await guardOf(keepsakes, options));
	const bytes = encodeCbor(record);
	if (!(await keepsakes.create(keepsakeName, bytes))) {
		const kept = options.replace ? undefined : await readRecord(keepsakes);
		if (kept && !equalBytes(kept.address, record.address)) {
			throw new WalletExistsError("Another wallet is kept here.", {
				metaMessages: ["Write its recovery phrase down first; then import with `replace`."],
			});
		}
		await keepsakes.write(keepsakeName, bytes);
	}
	return walletOf(keepsakes, account, false);
}

async function readRecord(keepsakes: Keepsakes): Promise<WalletRecord | undefined> {
	const bytes = await keepsakes.read(keepsakeName);
	if (!bytes) return undefined;
	try {
		return decodeCbor(walletRecordSchema, bytes, limits.walletRecordBytes);
	} catch (cause) {
		throw new KeyStorageError("The wallet kept here is broken.", {
			cause,
			metaMessages: ["Import it from its recovery phrase with `replace`."],
		});
	}
}

async function guardOf(keepsakes: Keepsakes, options: PassphraseOptions): Promise<PhraseGuard> {
	const deviceKey = await keepsakes.deviceKey();
	return deviceKey ? { ...options, deviceKey } : options;
}

/** Costs a tenth of a second of PBKDF2, so derive it once. */
function accountOf(phrase: string): LocalAccount {
	// Without the key itself, which viem's account would give to whoever holds it.
	const { getHdKey: _, ...account } = mnemonicToAccount(phrase);
	return account;
}

function recordOf({ address }: LocalAccount, phrase: string, guard: PhraseGuard): Promise<WalletRecord> {
	return lockPhrase(phrase, hexToBytes(address) as Uint8Array<ArrayBuffer>, guard);
}

async function unlocked(
	keepsakes: Keepsakes,
	record: WalletRecord,
	options: PassphraseOptions,
): Promise<EmbeddedWallet> {
	const account = accountOf(await unlockPhrase(record, await guardOf(keepsakes, options)));
	if (!equalBytes(hexToBytes(account.address), record.address)) {
		throw new KeyStorageError("The wallet kept here is not the one that it says it is.");
	}
	return walletOf(keepsakes, account, false);
}

function walletOf(keepsakes: Keepsakes, account: LocalAccount, fresh: boolean): EmbeddedWallet {
	const exportPhrase = async (options: PassphraseOptions = {}): Promise<string> => {
		const record = await readRecord(keepsakes);
		if (!record || !equalBytes(record.address, hexToBytes(account.address))) {
			throw new KeyStorageError("This wallet is no longer kept here.");
		}
		return unlockPhrase(record, await guardOf(keepsakes, options));
	};
	return {
		kind: "embedded",
		address: account.address,
		account,
		transport: undefined,
		fresh,
		persistent: keepsakes.persistent,
		signTypedData: async (typed) => hexToBytes(await account.signTypedData(typed)),
		signMessage: async (message) => hexToBytes(await account.signMessage({ message })),
		exportPhrase,
		async changePassphrase({ current, next, ...watch }) {
			const kept = await exportPhrase({
				...watch,
				...(current === undefined ? {} : { passphrase: current }),
			});
			const guard = await guardOf(keepsakes, {
				...watch,
				...(next === undefined ? {} : { passphrase: next }),
			});
			await keepsakes.write(keepsakeName, encodeCbor(await recordOf(account, kept, guard)));
		},
	};
}
