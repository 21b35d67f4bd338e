/**
 * A relay's side of the transport, for Node only: where peers meet, call each other, and learn what they missed.
 */
export {
	createRelayPeer,
	type RelayPeer,
	type RelayPeerEvents,
	type RelayPeerInit,
} from "./createRelayPeer.ts";
