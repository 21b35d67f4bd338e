import { publicKeyFromRaw } from "@libp2p/crypto/keys";
import {
	decodeCbor,
	EnvelopeTimeError,
	envelopeSchema,
	InvalidSignatureError,
	limits,
	ProtocolViolationError,
	ReplayedEnvelopeError,
} from "@tabmesh/wire";
import type { EnvelopeVerifier } from "./envelope.ts";
import { envelopeBody } from "./envelopeBody.ts";
import { peerIdFromPublicKey } from "./peerId.ts";

export interface EnvelopeVerifierInit {
	/** Oldest envelope that is taken, in milliseconds. @default 5 minutes: longer than any route lives */
	maxAgeMs?: number;
	/** Furthest into our future that an author's clock may be, in milliseconds. @default 2 minutes: clocks of devices that nobody sets */
	maxAheadMs?: number;
	/** Milliseconds since 1970. @default Date.now */
	now?: () => number;
	/**
	 * `newest`: an envelope must be newer than all taken before of its author and domain; one number is remembered for
	 * each. `any`: they may come in any order, for stores and mailboxes; every one is remembered. @default "newest"
	 */
	order?: "newest" | "any";
	/** Authors and domains (or, in any order, envelopes) remembered at once. @default 10,000, about 2 MB */
	capacity?: number;
}

interface Newest {
	sequence: number;
	time: number;
}

/**
 * Checks envelopes from strangers: schema, time, replay, signature, in the order of their cost.
 *
 * What it remembers is bounded and still no envelope is taken twice: when it forgets an author, it refuses from then on
 * every envelope of an unknown author that is not younger than what it forgot.
 */
export function createEnvelopeVerifier(init: EnvelopeVerifierInit = {}): EnvelopeVerifier {
	const maxAgeMs = init.maxAgeMs ?? 5 * 60_000;
	const maxAheadMs = init.maxAheadMs ?? 2 * 60_000;
	const now = init.now ?? Date.now;
	const capacity = init.capacity ?? 10_000;
	const order = init.order ?? "newest";
	const newest = new Map<string, Newest>();
	let forgottenUntil = Number.NEGATIVE_INFINITY;

	const assertNew = (memory: string, time: number, sequence: number): void => {
		const known = newest.get(memory);
		if (known ? sequence <= known.sequence : time <= forgottenUntil) {
			throw new ReplayedEnvelopeError("This envelope, or a newer one of its author, was taken before.");
		}
	};

	const forget = (): void => {
		const oldestFirst = [...newest].sort((a, b) => a[1].time - b[1].time);
		// A tenth at once, so that the sort is paid for once in many envelopes.
		for (const [memory, { time }] of oldestFirst.slice(0, Math.ceil(capacity / 10))) {
			newest.delete(memory);
			forgottenUntil = Math.max(forgottenUntil, time);
		}
	};

	return {
		async open(bytes, domain) {
			const [claimed, key, time, sequence, payload, signature] = decodeCbor(
				envelopeSchema,
				bytes,
				limits.envelopeBytes,
			);
			if (claimed !== domain) {
				throw new ProtocolViolationError(
					`An envelope for "${claimed}" came where one for "${domain}" belongs.`,
				);
			}
			const clock = now();
			if (time < clock - maxAgeMs || time > clock + maxAheadMs) {
				throw new EnvelopeTimeError(
					time > clock ? "An envelope claims to come from the future." : "An envelope is too old.",
					{
						metaMessages: ["If this happens with everybody, this device's clock is wrong."],
						details: { time, clock },
					},
				);
			}
			const author = peerIdFromPublicKey(key);
			const memory = order === "newest" ? `${author} ${domain}` : `${author} ${domain} ${sequence}`;
			assertNew(memory, time, sequence);
			const body = envelopeBody(domain, key, time, sequence, payload);
			let genuine = false;
			try {
				genuine = await publicKeyFromRaw(key).verify(body, signature);
			} catch {
				// Not a point of the curve.
			}
			if (!genuine) throw new InvalidSignatureError("An envelope's signature is not its author's.");
			// Again: another copy may have been verified while this one was.
			assertNew(memory, time, sequence);
			newest.set(memory, { sequence, time });
			if (newest.size > capacity) forget();
			return { author, time, sequence, payload };
		},
	};
}
