/** The libp2p half of a relay as this room needs it: rendezvous and circuit relay behind a loopback WebSocket listener. */
export interface RelayNode {
	/** Peer id of the relay. */
	readonly peer: string;
	/** Loopback TCP port of its WebSocket listener. */
	readonly port: number;
	/** What it carries now. */
	readonly load: { readonly connections: number; readonly reservations: number };
	/** Called for every gossip message that it forwards. */
	onMessage?: (topic: string) => void;
	stop(): Promise<void>;
}
