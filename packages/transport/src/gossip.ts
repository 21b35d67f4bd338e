import { type GossipsubOpts, StrictNoSign } from "@libp2p/gossipsub";
import { sha256 } from "@noble/hashes/sha2.js";
import { limits } from "@tabmesh/wire";

const encoder = new TextEncoder();

/**
 * gossipsub as every Tabmesh peer runs it.
 *
 * StrictNoSign: our envelopes are signed already, and a second signature per message would only cost time. The id of
 * a message is then the hash of its topic and bytes.
 *
 * @param score - our own judgement of a peer, 0 to −100; nothing else is held against anyone, because throttled tabs
 * look like bad mesh members and many honest peers share one address
 * @see https://github.com/libp2p/specs/blob/master/pubsub/gossipsub/gossipsub-v1.1.md
 */
export function gossipOptions(score: (peer: string) => number): Partial<GossipsubOpts> {
	return {
		globalSignaturePolicy: StrictNoSign,
		msgIdFn: ({ topic, data }) =>
			sha256.create().update(encoder.encode(topic)).update(data).digest().subarray(0, 20),
		fallbackToFloodsub: false,
		// Relays are direct peers and hand everything on: sending to every neighbour as well is waste.
		floodPublish: false,
		emitSelf: false,
		allowPublishToZeroTopicPeers: true,
		ignoreDuplicatePublishError: true,
		// One small message and its protobuf frame; anything longer is never decoded.
		maxInboundDataLength: limits.envelopeBytes + 1024,
		maxOutboundBufferSize: 4 * 1024 * 1024,
		// A room or two; the default is about a thousand.
		maxTopicBytesPerPeer: 64 * 1024,
		decodeRpcLimits: {
			maxSubscriptions: 128,
			maxMessages: 512,
			maxIhaveMessageIDs: 1024,
			maxIwantMessageIDs: 1024,
			maxControlMessages: 256,
			maxIdontwantMessageIDs: 512,
			maxPeerInfos: 16,
		},
		scoreParams: {
			appSpecificScore: score,
			appSpecificWeight: 1,
			IPColocationFactorWeight: 0,
			behaviourPenaltyWeight: 0,
			topics: {},
		},
		scoreThresholds: {
			gossipThreshold: -40,
			publishThreshold: -60,
			graylistThreshold: -80,
			acceptPXThreshold: 1,
			opportunisticGraftThreshold: 0,
		},
	};
}
