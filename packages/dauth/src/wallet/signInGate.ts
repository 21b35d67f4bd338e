import { hmac } from "@noble/hashes/hmac.js";
import { sha256 } from "@noble/hashes/sha2.js";
import {
	equalBytes,
	InvalidParameterError,
	limits,
	SignInDomainError,
	SignInError,
	SignInForgedError,
	SignInNonceError,
	SignInTimeError,
} from "@tabmesh/wire";
import type { Hex } from "viem";
import { createSiweMessage, parseSiweMessage, type SiweMessage } from "viem/siwe";
import { bytesToHex, getAddress, hashMessage, hexToBytes, isHex } from "viem/utils";
import type { ContractVerifier } from "../contractVerifier.ts";
import { cacheContractVerifier } from "./cacheContractVerifier.ts";
import { recoverSigner } from "./keySignature.ts";
import type { SignIn } from "./signIn.ts";

export interface SignInGateInit {
	/** Host and, if not the usual one, port that people see in their address bar. */
	domain: string;
	chainId: number;
	/** What sign-ins must name. @default anything at `domain` over HTTPS, or HTTP on localhost */
	uri?: string;
	/** How long a nonce waits for its sign-in, in milliseconds. @default 5 minutes */
	nonceMs?: number;
	/** Longest life of a sign-in, in milliseconds. @default 24 hours */
	maxLifetimeMs?: number;
	/** Used nonces remembered at once. @default 100,000, about 10 MB */
	capacity?: number;
	/** 32 bytes that all processes of one gateway share. @default fresh ones */
	secret?: Uint8Array;
	/** Asks contract wallets; without it, they are refused. */
	contracts?: ContractVerifier;
	/** Milliseconds since 1970. @default Date.now */
	now?: () => number;
}

/** Who signed in. */
export interface SignedIn {
	/** EIP-55. */
	readonly wallet: Hex;
	/** Milliseconds since 1970: until then the gateway may take it for signed in. */
	readonly expires: number;
	readonly resources: readonly string[];
}

export interface SignInGate {
	/** A nonce for one sign-in. Costs the gateway no memory, so asking for many hurts nobody. */
	nonce(): string;
	/**
	 * Checks a sign-in, once: each nonce opens the gate a single time.
	 *
	 * @throws SignInError when the message is not ERC-4361 as we write it; SignInDomainError (another site or chain),
	 * SignInNonceError (not ours, too old, used), SignInTimeError, SignInForgedError
	 */
	verify(signIn: SignIn, options?: { signal?: AbortSignal }): Promise<SignedIn>;
}

// A client's clock may be ahead by this much, as an envelope's.
const maxAheadMs = 2 * 60_000;

// time (6 bytes) ‖ random (10) ‖ the first half of an HMAC-SHA256 over both (16), in hex: ERC-4361 wants alphanumerics.
const nonceBytes = 32;

/**
 * The gateway's side of a sign-in (ERC-4361). Nonces carry their own time under a MAC, so only used ones are
 * remembered; when too many are, every nonce older than what was forgotten is refused.
 *
 * @throws InvalidParameterError
 */
export function createSignInGate(init: SignInGateInit): SignInGate {
	const nonceMs = init.nonceMs ?? 5 * 60_000;
	const maxLifetimeMs = init.maxLifetimeMs ?? 24 * 3_600_000;
	const capacity = init.capacity ?? 100_000;
	const secret = init.secret ?? crypto.getRandomValues(new Uint8Array(32));
	const now = init.now ?? Date.now;
	if (secret.byteLength !== 32) throw new InvalidParameterError("A gate's secret has 32 bytes.");
	const contracts = init.contracts && cacheContractVerifier(init.contracts, { now });
	const used = new Map<string, number>();
	let forgottenUntil = Number.NEGATIVE_INFINITY;

	const mac = (head: Uint8Array): Uint8Array => hmac(sha256, secret, head).subarray(0, 16);

	/** When one of our nonces was given out. */
	const timeOf = (nonce: string): number | undefined => {
		if (!/^[0-9a-f]{64}$/.test(nonce)) return undefined;
		const bytes = hexToBytes(`0x${nonce}`);
		const head = bytes.subarray(0, 16);
		// A MAC of our own nonce is compared: who learns it byte by byte learns to make nonces, which we give to everybody.
		if (!equalBytes(bytes.subarray(16), mac(head))) return undefined;
		return (
			new DataView(head.buffer, head.byteOffset).getUint16(0) * 2 ** 32 +
			new DataView(head.buffer, head.byteOffset).getUint32(2)
		);
	};

	const assertUnused = (nonce: string): number => {
		const time = timeOf(nonce);
		const clock = now();
		if (time === undefined) throw new SignInNonceError("This sign-in's nonce was not given out here.");
		if (clock - time > nonceMs || time > clock + maxAheadMs) {
			throw new SignInNonceError("This sign-in's nonce is too old.", { metaMessages: ["Sign in again."] });
		}
		if (used.has(nonce) || time <= forgottenUntil) {
			throw new SignInNonceError("This sign-in was used before.", { metaMessages: ["Sign in again."] });
		}
		return time;
	};

	const spend = (nonce: string): void => {
		const clock = now();
		used.set(nonce, assertUnused(nonce));
		// In the order of their use, which is nearly that of their making: old ones are refused by their time anyway.
		for (const [oldest, time] of used) {
			const tooOld = clock - time > nonceMs;
			if (!tooOld && used.size <= capacity) break;
			used.delete(oldest);
			if (!tooOld) forgottenUntil = Math.max(forgottenUntil, time);
		}
	};

	return {
		nonce() {
			const bytes = crypto.getRandomValues(new Uint8Array(nonceBytes));
			const time = Math.floor(now());
			const view = new DataView(bytes.buffer);
			view.setUint16(0, Math.floor(time / 2 ** 32));
			view.setUint32(2, time % 2 ** 32);
			bytes.set(mac(bytes.subarray(0, 16)), 16);
			return bytesToHex(bytes).slice(2);
		},
		async verify({ message, signature }, { signal } = {}) {
			const fields = readMessage(message);
			assertPlace(fields, init);
			const expires = assertTimes(fields, now(), maxLifetimeMs);
			assertUnused(fields.nonce);
			const wallet = getAddress(fields.address);
			const bytes = signatureBytes(signature);
			const hash = hashMessage(message);
			if ((await recoverSigner(hash, bytes)) !== wallet) {
				if (!contracts) throw forged();
				// Before the chain is asked: one nonce must not buy many questions.
				spend(fields.nonce);
				const call = { chainId: init.chainId, wallet, hash, signature: bytes };
				let genuine: boolean;
				try {
					genuine = await contracts.isValidSignature(call, signal ? { signal } : {});
				} catch (cause) {
					signal?.throwIfAborted();
					throw new SignInError("The chain does not say whether a contract wallet signed.", {
						cause,
						metaMessages: ["Try again later."],
					});
				}
				if (genuine !== true) throw forged();
			} else {
				spend(fields.nonce);
			}
			return { wallet, expires, resources: fields.resources ?? [] };
		},
	};
}

/** The message's fields. One sign-in has one text, so that what a person read is all there is. */
function readMessage(message: unknown): SiweMessage {
	const notOne = (cause?: unknown) =>
		new SignInError("This is not a sign-in message (ERC-4361).", cause === undefined ? {} : { cause });
	if (typeof message !== "string" || message.length > limits.signInLength) throw notOne();
	try {
		const fields = parseSiweMessage(message) as SiweMessage;
		if (createSiweMessage(fields) === message) return fields;
	} catch (cause) {
		throw notOne(cause);
	}
	throw notOne();
}

function assertPlace(fields: SiweMessage, { chainId, domain, uri }: SignInGateInit): void {
	let url: URL | undefined;
	try {
		url = new URL(fields.uri);
	} catch {
		// Refused below.
	}
	const local = /^localhost(:\d+)?$|^127\.0\.0\.1(:\d+)?$/.test(domain);
	const safe = url?.protocol === "https:" || (local && url?.protocol === "http:");
	const ours =
		uri === undefined ? safe && url?.host === new URL(`https://${domain}`).host : fields.uri === uri;
	if (fields.domain !== domain || !ours) {
		throw new SignInDomainError("This sign-in was made for another site.", {
			metaMessages: ["If you did not expect that, somebody may be using what you signed elsewhere."],
			details: { ours: domain, theirs: fields.domain.slice(0, 64) },
		});
	}
	if (fields.chainId !== chainId) {
		throw new SignInDomainError(`This sign-in was made for chain ${fields.chainId}, not ${chainId}.`, {
			details: { ours: chainId, theirs: fields.chainId },
		});
	}
}

function assertTimes(fields: SiweMessage, clock: number, maxLifetimeMs: number): number {
	const issued = fields.issuedAt?.getTime() ?? Number.NaN;
	const expires = fields.expirationTime?.getTime() ?? Number.NaN;
	const begins = fields.notBefore?.getTime() ?? issued;
	const holds =
		issued <= clock + maxAheadMs &&
		begins <= clock + maxAheadMs &&
		clock < expires &&
		expires - issued <= maxLifetimeMs &&
		// A message issued long ago is an old one, however far its end.
		clock < issued + maxLifetimeMs;
	// The other way round would let NaN pass.
	if (holds) return expires;
	throw new SignInTimeError("This sign-in is over, has not begun, or would last too long.", {
		metaMessages: ["Sign in again; if that does not help, this device's clock is wrong."],
		details: { clock },
	});
}

function signatureBytes(signature: unknown): Uint8Array {
	if (!isHex(signature) || signature.length % 2 !== 0) throw forged();
	if (signature.length > 2 + 2 * limits.walletSignatureBytes) throw forged();
	return hexToBytes(signature);
}

function forged(): SignInForgedError {
	return new SignInForgedError("This sign-in was not signed by the wallet that it names.");
}
