import type { StreamProtocol } from "@tabmesh/transport";
import { limits, protocolId } from "@tabmesh/wire";

/** Asker and stage: what to do, tokens, signs of life. Small messages, both ways. */
export const stageProtocol: StreamProtocol = {
	id: protocolId("stage"),
	maxMessageBytes: limits.controlBytes,
	maxStreamsPerPeer: 64,
	carriage: "latency",
};

/** Stage and next stage: hidden states and sampled tokens of one stream. */
export const ringProtocol: StreamProtocol = {
	id: protocolId("ring"),
	maxMessageBytes: limits.frameBytes,
	maxStreamsPerPeer: 64,
	carriage: "latency",
};
