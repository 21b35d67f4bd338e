import * as v from "valibot";
import { limits } from "../limits.ts";
import { numericsClassSchema } from "./announcement.ts";
import {
	bytesSchema,
	chainSchema,
	cidSchema,
	countSchema,
	peerIdSchema,
	positionSchema,
	spanSchema,
	streamIdSchema,
} from "./common.ts";

/** Values of the outputs that a receipt shows. */
export const receiptOutputs = 16;

/**
 * What one stage has done for one stream so far: the payload of two `receipt` envelopes, one by the stage and one by the asker. It is
 * cumulative: of one stream, peer and span the one with the most positions stands for all before it.
 */
export const receiptSchema = v.strictObject({
	/** Chain on which it may be settled (EIP-155); 0 where there is none. */
	chainId: countSchema,
	epoch: countSchema,
	asker: peerIdSchema,
	peer: peerIdSchema,
	stream: streamIdSchema,
	model: cidSchema,
	span: spanSchema,
	numericsClass: numericsClassSchema,
	/** SHA-256 of the payload of the signed route that the stage served by last. */
	route: bytesSchema(32),
	/** Of that route. */
	generation: countSchema,
	/** Positions of the stream behind the stage, prompt and answer; what it computed again for a lost neighbour counts once. */
	positions: v.pipe(positionSchema, v.minValue(1)),
	/** Of those, the ones that it had from an earlier stream of the asker, whose receipts have them already. */
	taken: positionSchema,
	/** The token chain after them. */
	chain: chainSchema,
	/**
	 * Some of the outputs of the last of these positions in half precision, at places that `chain` gives: who computes them again, on
	 * whatever device, finds nearly the same.
	 */
	outputs: bytesSchema(2 * receiptOutputs),
});
export type Receipt = v.InferOutput<typeof receiptSchema>;

/** A sealed receipt inside a control message. */
export const sealedReceiptSchema = v.pipe(
	v.instance(Uint8Array),
	v.check((bytes) => bytes.byteLength <= limits.receiptBytes, "a short receipt"),
);
