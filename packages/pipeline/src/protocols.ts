import type { StreamProtocol } from "@tabmesh/transport";
import { limits, protocolId } from "@tabmesh/wire";

/**
 * What stages of this build understand beyond the first version of the protocol, as it stands in the hello; a stage that does not say so
 * is not asked for it. `logprobs`: probabilities of tokens; `penalties`: presence and frequency penalty, and biases of tokens; `embeddings`:
 * means of hidden states; `apart`: what is kept of streams is kept apart where the asker says so.
 */
export const stageFeatures = ["logprobs", "penalties", "embeddings", "apart"] as const;
export type StageFeature = (typeof stageFeatures)[number];

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
