import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { createIdentity, type PeerIdentity } from "@tabmesh/dauth";
import { createPeer, type Peer } from "@tabmesh/transport";
import { createRelayPeer, type RelayPeer } from "@tabmesh/transport/relay";
import { type Cstore, type CstoreInit, createCstore, openRecordStore } from "./index.ts";

/** Part of the tests: real peers in one process, a real relay between them. */
export class TestRoom {
	readonly #relays: RelayPeer[] = [];
	readonly #peers: { peer: Peer; cstore: Cstore | undefined }[] = [];
	readonly #doors: Door[] = [];

	async relay(): Promise<RelayPeer> {
		const relay = await createRelayPeer({ identity: await createIdentity(), agent: "relay/1" });
		this.#relays.push(relay);
		return relay;
	}

	/** A TCP proxy in front of a relay, shut at first. */
	async door(relay: RelayPeer): Promise<Door> {
		const door = await openDoor(relay);
		this.#doors.push(door);
		return door;
	}

	async peer(
		addresses: readonly string[],
		identity?: PeerIdentity,
	): Promise<{ peer: Peer; identity: PeerIdentity }> {
		const own = identity ?? (await createIdentity());
		const peer = await createPeer({ identity: own, relays: addresses, agent: "test/1" });
		this.#peers.push({ peer, cstore: undefined });
		return { peer, identity: own };
	}

	async join(addresses: readonly string[], init: Partial<CstoreInit> = {}): Promise<Joined> {
		const { peer, identity } = init.peer
			? { peer: init.peer, identity: init.identity! }
			: await this.peer(addresses, init.identity);
		const store = init.store ?? (await openRecordStore());
		const cstore = await createCstore({ room: "public", ...init, peer, identity, store });
		this.#peers.push({ peer, cstore });
		return { peer, identity, cstore };
	}

	async stop(): Promise<void> {
		for (const { cstore } of this.#peers) await cstore?.stop();
		await Promise.all(this.#peers.map(({ peer }) => peer.stop()));
		for (const door of this.#doors) door.close();
		await Promise.all(this.#relays.map((relay) => relay.stop()));
	}
}

export interface Joined {
	peer: Peer;
	identity: PeerIdentity;
	cstore: Cstore;
}

export interface Door {
	/** The relay's address through this door. */
	readonly address: string;
	open(): void;
	close(): void;
}

async function openDoor(relay: RelayPeer): Promise<Door> {
	const sockets = new Set<Socket>();
	let shut = true;
	const server = createServer((inside) => {
		if (shut) {
			inside.destroy();
			return;
		}
		const outside = connect(relay.port, "127.0.0.1");
		for (const socket of [inside, outside]) {
			sockets.add(socket);
			socket.on("error", () => {});
			socket.on("close", () => {
				sockets.delete(socket);
				inside.destroy();
				outside.destroy();
			});
		}
		inside.pipe(outside).pipe(inside);
	});
	await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
	const { port } = server.address() as AddressInfo;
	return {
		address: relay.addresses[0]!.replace(`/tcp/${relay.port}/`, `/tcp/${port}/`),
		open() {
			shut = false;
		},
		close() {
			shut = true;
			for (const socket of sockets) socket.destroy();
			server.close();
		},
	};
}

/** Resolves when `holds`; the test's own time limit is the only clock. */
export async function until(holds: () => boolean): Promise<void> {
	while (!holds()) await new Promise((resolve) => setTimeout(resolve, 20));
}
