import { scryptAsync } from "@noble/hashes/scrypt.js";
import {
	encodeCbor,
	InsecureOriginError,
	KeyStorageError,
	type WalletRecord,
	WrongPassphraseError,
} from "@tabmesh/wire";

/** How long deriving a key from a passphrase takes, and how it is watched and stopped. */
export interface DerivationOptions {
	/** Fraction done, from 0 to 1. */
	onProgress?: (done: number) => void;
	signal?: AbortSignal;
	/** scrypt's N for what is locked now, a power of two; a record keeps its own. @default 2^17 */
	scryptN?: number;
}

/** What a phrase is kept under: a passphrase if there is one, else the device's own key, else nothing. */
export interface PhraseGuard extends DerivationOptions {
	passphrase?: string;
	deviceKey?: CryptoKey;
}

// OWASP's password storage cheat sheet: scrypt with N = 2^17, r = 8, p = 1. 128 MiB and about a second on a phone.
const scryptCost = { n: 2 ** 17, r: 8, p: 1 } as const;

/** Encrypts a recovery phrase (AES-256-GCM); everything else in the record is authenticated with it. */
export async function lockPhrase(
	phrase: string,
	address: Uint8Array<ArrayBuffer>,
	guard: PhraseGuard,
): Promise<WalletRecord> {
	const head = { version: 1, address, guard: freshGuard(guard) } as const;
	const iv = crypto.getRandomValues(new Uint8Array(12));
	const bytes = new TextEncoder().encode(phrase);
	const key = await keyFor(head.guard, guard);
	if (!key) return { ...head, iv, box: bytes };
	const algorithm = { name: "AES-GCM", iv, additionalData: boundTo(head) };
	return { ...head, iv, box: new Uint8Array(await crypto.subtle.encrypt(algorithm, key, bytes)) };
}

/**
 * The recovery phrase in a record.
 *
 * @throws WrongPassphraseError, KeyStorageError when the device's key is not the one it was locked with
 */
export async function unlockPhrase(record: WalletRecord, guard: PhraseGuard): Promise<string> {
	const key = await keyFor(record.guard, guard);
	if (!key) return new TextDecoder().decode(record.box);
	try {
		const algorithm = {
			name: "AES-GCM",
			iv: record.iv as Uint8Array<ArrayBuffer>,
			additionalData: boundTo(record),
		};
		const box = record.box as Uint8Array<ArrayBuffer>;
		return new TextDecoder().decode(await crypto.subtle.decrypt(algorithm, key, box));
	} catch (cause) {
		if (record.guard.by === "passphrase") {
			throw new WrongPassphraseError("This is not the wallet's passphrase.", {
				cause,
				metaMessages: ["Try again, or import the wallet from its recovery phrase."],
				details: { given: true },
			});
		}
		throw lostDeviceKey(cause);
	}
}

function freshGuard({
	deviceKey,
	passphrase,
	scryptN: n = scryptCost.n,
}: PhraseGuard): WalletRecord["guard"] {
	// An empty field is no passphrase.
	if (passphrase) {
		return { by: "passphrase", ...scryptCost, n, salt: crypto.getRandomValues(new Uint8Array(16)) };
	}
	return { by: deviceKey ? "device" : "none" };
}

async function keyFor(guard: WalletRecord["guard"], given: PhraseGuard): Promise<CryptoKey | undefined> {
	if (guard.by === "none") return undefined;
	if (guard.by === "device") {
		if (!given.deviceKey) throw lostDeviceKey();
		return given.deviceKey;
	}
	if (!given.passphrase) {
		throw new WrongPassphraseError("This wallet needs its passphrase.", { details: { given: false } });
	}
	if (!globalThis.crypto?.subtle) {
		throw new InsecureOriginError("A wallet needs WebCrypto, which this page does not have.", {
			metaMessages: ["Open it over HTTPS or on localhost."],
		});
	}
	// NFKC, so that the same passphrase typed on another keyboard gives the same bytes.
	const secret = await scryptAsync(given.passphrase.normalize("NFKC"), guard.salt, {
		N: guard.n,
		r: guard.r,
		p: guard.p,
		dkLen: 32,
		// The record's schema bounds the cost; 2 KiB beyond its blocks, as noble asks for.
		maxmem: 128 * guard.n * guard.r + 128 * guard.r * guard.p + 2048,
		onProgress(done) {
			given.signal?.throwIfAborted();
			given.onProgress?.(done);
		},
	});
	try {
		return await crypto.subtle.importKey("raw", secret as Uint8Array<ArrayBuffer>, "AES-GCM", false, [
			"encrypt",
			"decrypt",
		]);
	} finally {
		secret.fill(0);
	}
}

function boundTo({ version, address, guard }: Pick<WalletRecord, "version" | "address" | "guard">) {
	return encodeCbor(["tabmesh wallet", version, address, guard]);
}

function lostDeviceKey(cause?: unknown): KeyStorageError {
	return new KeyStorageError("The wallet kept here was locked by another device's key.", {
		cause,
		metaMessages: ["Import it from its recovery phrase."],
	});
}
