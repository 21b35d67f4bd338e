import type { StreamProtocol } from "@tabmesh/transport";
import { decodeCbor, encodeCbor, MalformedMessageError, protocolId } from "@tabmesh/wire";
import type { CID } from "multiformats/cid";
import * as v from "valibot";
import { blockLimits } from "../blockLimits.ts";
import { decodeCid } from "../cid.ts";

/**
 * How peers give each other blocks: one stream, opened by the side that wants something.
 *
 * The asker sends CBOR `{ wants: [[number, CID], …], cancels: [number, …] }`; numbers rise from 0. The giver answers each
 * want, in any order, with one byte of kind, the number in four bytes (big-endian), and for kind 0 the block itself:
 *
 * | kind | meaning |
 * |---|---|
 * | 0 block | the bytes, unchanged |
 * | 1 missing | not here, now |
 *
 * A cancelled want may still be answered. docs/decisions/0010-bitswap.md says why this is not bitswap.
 */
export const blockProtocol: StreamProtocol = {
	id: protocolId("blocks"),
	maxMessageBytes: blockLimits.blockBytes + 5,
	// 40 MB/s at a round trip of 200 ms; also the most that a peer which does not read can make the other hold.
	windowBytes: 8 * 1024 * 1024,
	// One is what an honest peer opens; another while the first is being cut.
	maxStreamsPerPeer: 2,
	carriage: "bulk",
	overRelay: false,
};

/** Wants in one message. */
const wantsPerMessage = 64;

/** Wants of one peer that may wait for their answer: sixteen times what ours have under way. More is a flood. */
export const waitingWants = 256;

/** Longest message of an asker: full of wants, each with its number and a CID of 36 bytes, and as many cancels. */
const longestAsk = 8 * 1024;

const numberSchema = v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(0xffff_ffff));
const askSchema = v.strictObject({
	wants: v.pipe(
		v.array(
			v.strictTuple([
				numberSchema,
				v.pipe(
					v.instance(Uint8Array),
					v.check((bytes) => bytes.byteLength <= 64, "a CID"),
				),
			]),
		),
		v.maxLength(wantsPerMessage),
	),
	cancels: v.pipe(v.array(numberSchema), v.maxLength(wantsPerMessage)),
});

export interface Ask {
	wants: { number: number; cid: CID }[];
	cancels: number[];
}

export function encodeAsk({ wants, cancels }: Ask): Uint8Array<ArrayBuffer> {
	return encodeCbor({ wants: wants.map(({ number, cid }) => [number, cid.bytes]), cancels });
}

/** @throws MalformedMessageError, MessageTooLargeError, InvalidCidError */
export function decodeAsk(bytes: Uint8Array): Ask {
	const { wants, cancels } = decodeCbor(askSchema, bytes, longestAsk);
	return { wants: wants.map(([number, cid]) => ({ number, cid: decodeCid(cid) })), cancels };
}

export type Answer = { number: number; block: Uint8Array } | { number: number; block: undefined };

const kinds = { block: 0, missing: 1 } as const;
const headerBytes = 5;

/** In parts: a block is not copied for its header. */
export function encodeAnswer({ number, block }: Answer): Uint8Array[] {
	const header = new Uint8Array(headerBytes);
	header[0] = block ? kinds.block : kinds.missing;
	new DataView(header.buffer).setUint32(1, number);
	return block ? [header, block] : [header];
}

/** The block is a view of `bytes`. @throws MalformedMessageError */
export function decodeAnswer(bytes: Uint8Array): Answer {
	const kind = bytes[0];
	if (bytes.byteLength < headerBytes || (kind !== kinds.block && kind !== kinds.missing)) {
		throw new MalformedMessageError("An answer is neither a block nor its absence.");
	}
	if (kind === kinds.missing && bytes.byteLength !== headerBytes) {
		throw new MalformedMessageError("An answer that something is missing carries bytes.");
	}
	const number = new DataView(bytes.buffer, bytes.byteOffset).getUint32(1);
	return { number, block: kind === kinds.block ? bytes.subarray(headerBytes) : undefined };
}
