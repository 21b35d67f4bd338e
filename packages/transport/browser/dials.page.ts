import { createIdentity } from "@tabmesh/dauth";
import { createPeer, type Peer, type StreamProtocol } from "@tabmesh/transport";

const echo: StreamProtocol = { id: "/tabmesh/echo/1", maxMessageBytes: 16 };
/** Enough for the ids of channels to be used again. */
const streams = 4;
const peers = new Map<string, Peer>();

/** What the test, which runs in Node, calls in this page. */
const harness = {
	/** Starts peers that echo. @returns their ids */
	start(relays: readonly string[], count: number): Promise<string[]> {
		const start = async () => {
			const peer = await createPeer({ identity: await createIdentity(), relays, agent: "test/1" });
			peer.serve(echo, async (stream) => {
				for await (const message of stream) await stream.send(message);
			});
			peers.set(peer.id, peer);
			return peer.id;
		};
		return Promise.all(Array.from({ length: count }, start));
	},

	/** Dials from each of our peers to its partner, and sends something over a few streams. @returns what came back */
	dial(pairs: [from: string, to: string][]): Promise<number[][]> {
		const dial = async ([from, to]: [string, string]) => {
			const answers: number[] = [];
			for (let i = 0; i < streams; i++) {
				answers.push(...(await peers.get(from)!.request(to, echo, Uint8Array.of(i))));
			}
			return answers;
		};
		return Promise.all(pairs.map(dial));
	},

	async stop(): Promise<void> {
		await Promise.all([...peers.values()].map((peer) => peer.stop()));
		peers.clear();
	},
};
export type DialsHarness = typeof harness;
Object.assign(globalThis, { harness });
