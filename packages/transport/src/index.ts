/**
 * Reaching other peers: connections over WebRTC, streams of messages with credits, gossip topics, and what is held
 * against whom. Gives `createPeer`; a relay's side is at `@tabmesh/transport/relay`, for Node only.
 *
 * This room never looks into a message, and never decides what an offence is beyond its own framing.
 */
export { createPeer } from "./createPeer.ts";
export type {
	ConnectionView,
	MessageStream,
	Offence,
	Peer,
	PeerEvents,
	PeerInit,
	ProviderRecords,
	StreamProtocol,
	Topic,
	TopicOptions,
} from "./peer.ts";
