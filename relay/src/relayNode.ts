import { join } from "node:path";
import { openIdentity } from "@tabmesh/dauth";
import { createRelayPeer, type RelayPeer } from "@tabmesh/transport/relay";

export interface RelayNodeOptions {
	/** Public port: two relays of one machine are two peers. */
	port: number;
	/** Keeps the relay's key, so that its multiaddrs stay the same; without it the key is new at every start. */
	cacheDir?: string;
	maxPeers: number;
}

/**
 * Starts the libp2p half of a relay behind a loopback WebSocket listener on a free port.
 *
 * @throws KeyStorageError when the key in the cache folder is broken
 */
export async function startRelayNode(options: RelayNodeOptions): Promise<RelayPeer> {
	const { cacheDir, port, maxPeers } = options;
	const identity = await openIdentity(
		cacheDir === undefined ? {} : { file: join(cacheDir, "keys", `relay-${port}.pem`) },
	);
	const peer = await createRelayPeer({ identity, agent: "tabmesh-relay/0.1.0", maxPeers });
	return {
		...peer,
		get load() {
			return peer.load;
		},
		get connections() {
			return peer.connections;
		},
		async stop() {
			await peer.stop();
			await identity.release();
		},
	};
}
