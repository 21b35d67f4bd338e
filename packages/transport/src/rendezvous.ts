import { encodeCbor, limits, protocolId } from "@tabmesh/wire";
import * as v from "valibot";
import type { MessageStream, StreamProtocol } from "./peer.ts";

/**
 * What a newcomer missed: it sends `{topic}`, the relay answers with the newest messages of every author on that
 * topic, one after the other, and ends the stream.
 */
export const rendezvousProtocol: StreamProtocol = {
	id: protocolId("rendezvous"),
	maxMessageBytes: limits.envelopeBytes,
	maxStreamsPerPeer: 8,
	carriage: "bulk",
};

export const rendezvousRequestSchema = v.strictObject({
	topic: v.pipe(v.string(), v.minLength(1), v.maxLength(128)),
});

/** Longest request in bytes. */
export const rendezvousRequestBytes = 256;

/** Everything that a relay remembers of `topic`, up to `limits.rendezvousBytes`. */
export async function askRendezvous(stream: MessageStream, topic: string): Promise<Uint8Array[]> {
	await stream.send(encodeCbor({ topic }));
	await stream.close();
	const messages: Uint8Array[] = [];
	let bytes = 0;
	for await (const message of stream) {
		bytes += message.byteLength;
		if (bytes > limits.rendezvousBytes) {
			stream.abort(new Error("enough"));
			break;
		}
		messages.push(message);
	}
	return messages;
}
