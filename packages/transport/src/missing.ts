import { decodeCbor, encodeCbor, peerIdSchema, protocolId } from "@tabmesh/wire";
import * as v from "valibot";
import type { MessageStream, StreamProtocol } from "./peer.ts";

/**
 * "I cannot reach this peer any more": a peer tells its relays, which look for themselves. Nobody's word makes a peer
 * gone; it only makes a relay look before the silence would tell.
 */
export const missingProtocol: StreamProtocol = {
	id: protocolId("missing"),
	maxMessageBytes: 128,
	maxStreamsPerPeer: 8,
};

const missingSchema = v.strictObject({ peer: peerIdSchema });

export async function sayMissing(stream: MessageStream, peer: string): Promise<void> {
	await stream.send(encodeCbor({ peer }));
	await stream.close();
}

/** Whom somebody misses. @throws MalformedMessageError */
export function readMissing(message: Uint8Array): string {
	return decodeCbor(missingSchema, message, missingProtocol.maxMessageBytes).peer;
}
