// A process of its own: a headless peer that holds one span, or every span that somebody serves, so that it can take any of them
// over. Arguments: address of the network, catalog name of the model, and for one span its first layer and the one behind its last.
import { homedir } from "node:os";
import { join } from "node:path";
import { createEnvelopeSigner, createIdentity } from "@tabmesh/dauth";
import { createDirectory } from "@tabmesh/directory";
import { createEngine } from "@tabmesh/inference";
import { publishModel, sourceOfModel } from "@tabmesh/model";
import { fetchCatalogModel, openModelFile } from "@tabmesh/model/node";
import { serveStages, spanOf } from "@tabmesh/pipeline";
import { createPeer } from "@tabmesh/transport";
import { protocolVersion, type Span } from "@tabmesh/wire";

// Whoever started it may be killed without a chance to end it.
process.on("disconnect", () => process.exit());

const cacheDir = join(process.env.TABMESH_CACHE ?? join(homedir(), ".cache", "tabmesh"), "models");
const [url, name, from, to] = process.argv.slice(2);
const { relays, room } = (await (await fetch(`${url}/tabmesh.json`)).json()) as {
	relays: string[];
	room: string;
};
const file = await openModelFile(await fetchCatalogModel(name!, { cacheDir }));
const { id, manifest } = await publishModel(file);
const { layers } = manifest.config;
const identity = await createIdentity();
const peer = await createPeer({ identity, relays, agent: "bench/1" });
const directory = await createDirectory({ peer, identity, room });
const memoryBytes = 2e9;
const engine = await createEngine({ memoryBytes });
const source = sourceOfModel(file);
const model = { id, manifest };
const server = serveStages({
	peer,
	signer: createEnvelopeSigner(identity),
	engine,
	source,
	room,
	models: (asked) => (asked === id ? model : undefined),
});
const isSpare = from === undefined;
const held = new Map<string, Span>();
const joined = Date.now();
let announced = false;

async function hold(from: number, to: number): Promise<void> {
	if (held.has(`${from}-${to}`)) return;
	const span = spanOf(from, to, layers);
	await server.spans.hold(model, span);
	held.set(`${from}-${to}`, span);
	announced = false;
}

async function follow(): Promise<void> {
	for (const { peer: other, lends } of isSpare ? directory.members : []) {
		for (const { from, to, ready } of lends?.spans ?? []) {
			if (other !== peer.id && ready) await hold(from, to);
		}
	}
	if (announced) return;
	announced = true;
	await directory.announce({
		rooms: [room],
		majors: [protocolVersion.oldestMajor, protocolVersion.major],
		kind: "node",
		joined,
		lends: {
			numericsClass: engine.info.numericsClass,
			memoryBytes,
			freeBytes: memoryBytes,
			// Slower than a tab by what they say, a spare most of all, so that no route begins with it.
			bytesPerMs: isSpare ? 1e4 : 1e5,
			models: [id],
			spans: [...held.values()].map((span) => ({ model: id, ...span, ready: true, msPerToken: 0 })),
			streams: 0,
		},
	});
}

if (!isSpare) await hold(Number(from), Number(to));
while (held.size < (isSpare ? 3 : 1)) {
	await follow();
	await new Promise((resolve) => setTimeout(resolve, 100));
}
await follow();
console.log(peer.id);
for (;;) {
	await new Promise((resolve) => setTimeout(resolve, 100));
	await follow();
}
