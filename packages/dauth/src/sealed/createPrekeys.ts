import {
	decodeCbor,
	encodeCbor,
	InvalidParameterError,
	limits,
	SealedMessageError,
	sealedSchema,
} from "@tabmesh/wire";
import { base64url } from "multiformats/bases/base64";
import type { EnvelopeSigner } from "../envelope.ts";
import { createEnvelopeSigner } from "../envelopeSigner.ts";
import { createEnvelopeVerifier } from "../envelopeVerifier.ts";
import type { PeerIdentity } from "../identity.ts";
import { publicKeyFromPeerId } from "../peerId.ts";
import { hpkeSuite, sealedInfo } from "./hpke.ts";

export interface PrekeysInit {
	/** How long one prekey may be sealed to, in milliseconds. @default 1 hour; at most `limits.prekeyMs` */
	lifetimeMs?: number;
	/** How long its secret is kept after that for messages on their way, in milliseconds. @default 5 minutes */
	graceMs?: number;
	/** @default a signer of its own; hand one over where the same identity signs `prekey` envelopes elsewhere, too */
	signer?: EnvelopeSigner;
	/** Milliseconds since 1970. @default Date.now */
	now?: () => number;
}

/** A sealed message that was opened. */
export interface OpenedMessage {
	/** Peer id of the sender, proven by its signature. */
	readonly author: string;
	/** When it was sealed, by the sender's clock. */
	readonly time: number;
	readonly message: Uint8Array;
}

/** The prekeys of one peer. They live in memory only: what was sealed to them is lost with the page, on purpose. */
export interface Prekeys {
	/**
	 * A fresh signed envelope of the current prekey, to be spread like an announcement. Makes a new prekey when half the
	 * life of the current one is over.
	 *
	 * @throws SealedMessageError when the browser has no X25519; InsecureOriginError
	 */
	publish(): Promise<Uint8Array>;
	/**
	 * Opens a sealed message, once. Messages may arrive in any order.
	 *
	 * @param aad - what the sender gave
	 * @throws SealedMessageError when its prekey is gone, it was changed or meant for another; what
	 * `EnvelopeVerifier.open` throws (InvalidSignatureError, ReplayedEnvelopeError, EnvelopeTimeError, …)
	 */
	open(sealed: Uint8Array, aad?: Uint8Array): Promise<OpenedMessage>;
	/** Throws all secrets away. */
	close(): void;
}

interface HeldPrekey {
	readonly pair: CryptoKeyPair;
	readonly key: Uint8Array;
	readonly made: number;
}

/** Makes, rotates and forgets the X25519 prekeys of `identity`. See `createSealer` for an example. */
export function createPrekeys(identity: PeerIdentity, init: PrekeysInit = {}): Prekeys {
	const lifetimeMs = init.lifetimeMs ?? 3_600_000;
	const graceMs = init.graceMs ?? 5 * 60_000;
	if (!(lifetimeMs > 0 && lifetimeMs <= limits.prekeyMs && graceMs >= 0)) {
		throw new InvalidParameterError(`A prekey lives up to ${limits.prekeyMs} ms.`, {
			details: { lifetimeMs, graceMs },
		});
	}
	const now = init.now ?? Date.now;
	const signer = init.signer ?? createEnvelopeSigner(identity, { now });
	// A message may be as old as the secret that opens it, and stored messages come in any order.
	const verifier = createEnvelopeVerifier({ order: "any", maxAgeMs: lifetimeMs + graceMs, now });
	const held = new Map<string, HeldPrekey>();
	let current: Promise<HeldPrekey> | undefined;
	let closed = false;
	let timer: ReturnType<typeof setTimeout> | undefined;

	const forgetOld = (): void => {
		for (const [id, { made }] of held) if (now() >= made + lifetimeMs + graceMs) held.delete(id);
		clearTimeout(timer);
		const [oldest] = held.values();
		if (!oldest) return;
		// By the clock, not by the next call: a peer that falls silent forgets all the same.
		timer = setTimeout(forgetOld, Math.max(1000, oldest.made + lifetimeMs + graceMs - now()));
		// In Node a timer must not keep the process alive; in a page it is a number.
		(timer as { unref?(): void }).unref?.();
	};

	const make = async (): Promise<HeldPrekey> => {
		const prekey = { ...(await generate()), made: now() };
		if (closed) throw new SealedMessageError("These prekeys were closed.");
		held.set(base64url.baseEncode(prekey.key), prekey);
		forgetOld();
		return prekey;
	};

	const fresh = async (): Promise<HeldPrekey> => {
		const before = current;
		const known = await before;
		if (known && now() < known.made + lifetimeMs / 2) return known;
		// Another call may have begun one while this one waited.
		if (current === before) {
			const making = make();
			current = making;
			making.catch(() => {
				if (current === making) current = undefined;
			});
		}
		return current!;
	};

	return {
		async publish() {
			if (closed) throw new SealedMessageError("These prekeys were closed.");
			const { key, made } = await fresh();
			return signer.seal("prekey", encodeCbor({ key, expires: Math.floor(made + lifetimeMs) }));
		},
		async open(sealed, aad = new Uint8Array()) {
			const { author, time, payload } = await verifier.open(sealed, "sealed");
			const [key, enc, ciphertext] = decodeCbor(sealedSchema, payload, limits.envelopeBytes);
			forgetOld();
			const prekey = held.get(base64url.baseEncode(key));
			if (!prekey) {
				throw new SealedMessageError("This message was sealed to a prekey that is not here.", {
					metaMessages: ["Prekeys are thrown away after a while; the sender must seal it again."],
				});
			}
			try {
				const info = sealedInfo(publicKeyFromPeerId(author), identity.publicKey);
				const opened = await hpkeSuite().open({ recipientKey: prekey.pair, enc, info }, ciphertext, aad);
				return { author, time, message: new Uint8Array(opened) };
			} catch (cause) {
				throw new SealedMessageError("This message was changed on its way, or is not for us.", { cause });
			}
		},
		close() {
			closed = true;
			held.clear();
			current = undefined;
			clearTimeout(timer);
		},
	};
}

async function generate(): Promise<{ pair: CryptoKeyPair; key: Uint8Array }> {
	hpkeSuite();
	try {
		// Not through the suite, whose keys can be read out: a secret that cannot be copied is gone when it is dropped.
		const pair = (await crypto.subtle.generateKey("X25519", false, ["deriveBits"])) as CryptoKeyPair;
		return { pair, key: new Uint8Array(await crypto.subtle.exportKey("raw", pair.publicKey)) };
	} catch (cause) {
		throw new SealedMessageError("This browser has no X25519.", {
			cause,
			metaMessages: ["Update it: Chrome 133, Firefox 130 and Safari 17 have it."],
		});
	}
}
