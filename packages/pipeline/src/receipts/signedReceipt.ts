import { sha256 } from "@noble/hashes/sha2.js";
import { createEnvelopeVerifier } from "@tabmesh/dauth";
import {
	decodeCbor,
	encodeCbor,
	equalBytes,
	limits,
	type Receipt,
	ReceiptError,
	type Route,
	receiptSchema,
} from "@tabmesh/wire";

/** An epoch, as Ratio1 counts: a day. */
const EPOCH_MS = 86_400_000;

/** Work that both sides own up to. */
export interface SignedReceipt {
	readonly receipt: Receipt;
	/** Its envelope by the stage's peer, and the one by the asker. */
	readonly byPeer: Uint8Array;
	readonly byAsker: Uint8Array;
}

/** Which epoch it is, by this device's clock. */
export function epochAt(now: number): number {
	return Math.floor(now / EPOCH_MS);
}

/** What a receipt names a route by. */
export function routeHash(route: Route): Uint8Array<ArrayBuffer> {
	return sha256(encodeCbor(route)) as Uint8Array<ArrayBuffer>;
}

/**
 * Opens a receipt's envelope.
 *
 * @throws MalformedMessageError, InvalidSignatureError; ReceiptError where somebody else signed it
 */
export async function openReceipt(
	envelope: Uint8Array,
	signer: string,
): Promise<{ receipt: Receipt; payload: Uint8Array }> {
	// Without a memory: a receipt is worth the same however often it is shown. And without a clock: what it names is running
	// now, on a connection that its signer holds, while a device's clock may jump at any time.
	const ever = { maxAgeMs: Number.POSITIVE_INFINITY, maxAheadMs: Number.POSITIVE_INFINITY };
	const { author, payload } = await createEnvelopeVerifier(ever).open(envelope, "receipt");
	if (author !== signer) {
		throw new ReceiptError("A receipt is signed by somebody else.", { details: { author, signer } });
	}
	return { receipt: decodeCbor(receiptSchema, payload, limits.receiptBytes), payload };
}

/**
 * Checks that both sides signed the same receipt, now or long ago.
 *
 * @throws MalformedMessageError, InvalidSignatureError, ReceiptError
 */
export async function openSignedReceipt({
	byPeer,
	byAsker,
}: Pick<SignedReceipt, "byPeer" | "byAsker">): Promise<SignedReceipt> {
	const [peer, asker] = await Promise.all(
		[byPeer, byAsker].map((envelope) =>
			createEnvelopeVerifier({ maxAgeMs: Number.POSITIVE_INFINITY }).open(envelope, "receipt"),
		),
	);
	const receipt = decodeCbor(receiptSchema, peer!.payload, limits.receiptBytes);
	if (!equalBytes(peer!.payload, asker!.payload)) {
		throw new ReceiptError("The two sides of a receipt signed for different work.");
	}
	if (peer!.author !== receipt.peer || asker!.author !== receipt.asker) {
		throw new ReceiptError("A receipt is signed by somebody else than it names.");
	}
	return { receipt, byPeer, byAsker };
}
