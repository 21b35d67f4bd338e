// A process of its own: a headless lender that holds one span of a model and meets others through the latency lab only. Its argument is a
// `FarPeer` as JSON; told `true` it guesses with its small model from the next stream on, told `false` by what stands in the text.
import { createEnvelopeSigner, createIdentity } from "@tabmesh/dauth";
import { createDirectory } from "@tabmesh/directory";
import { createEngine } from "@tabmesh/inference";
import { publishModel, sourceOfModel } from "@tabmesh/model";
import { openModelPath } from "@tabmesh/model/node";
import { type DraftModel, ModelDrafter, serveStages, spanOf } from "@tabmesh/pipeline";
import { createPeer } from "@tabmesh/transport";
import { protocolVersion } from "@tabmesh/wire";
import type { FarPeer } from "./farSwarm.ts";

// Whoever started it may be killed without a chance to end it.
process.on("disconnect", () => process.exit());

const { url, file, draftFile, from, to, weights, threads, iceServers } = JSON.parse(
	process.argv[2]!,
) as FarPeer;
const { relays, room } = (await (await fetch(`${url}/tabmesh.json`)).json()) as {
	relays: string[];
	room: string;
};

async function openDrafts(path: string): Promise<DraftModel> {
	const small = await openModelPath(path);
	const model = await publishModel(small);
	const { layers, contextLength } = model.manifest.config;
	const engine = await createEngine({ memoryBytes: 3e8, threads });
	const handle = await engine.load({ model, span: spanOf(0, layers, layers) }, sourceOfModel(small));
	return { engine, handle, contextLength };
}

const opened = await openModelPath(file);
const { id, manifest } = await publishModel(opened);
const model = { id, manifest };
const drafts = draftFile === undefined ? undefined : await openDrafts(draftFile);
let guesses = false;
process.on("message", (told: boolean) => {
	guesses = told;
	process.send!("told");
});

const identity = await createIdentity();
const peer = await createPeer({
	identity,
	relays,
	agent: "bench/1",
	iceServers,
	iceTransportPolicy: "relay",
});
const directory = await createDirectory({ peer, identity, room });
const memoryBytes = 3e9;
const engine = await createEngine({ memoryBytes, weights, threads });
const server = serveStages({
	peer,
	signer: createEnvelopeSigner(identity),
	engine,
	source: sourceOfModel(opened),
	room,
	models: (asked) => (asked === id ? model : undefined),
	drafter: () => (drafts && guesses ? new ModelDrafter(drafts) : undefined),
});
const span = spanOf(from, to, manifest.config.layers);
await server.spans.hold(model, span);
await directory.announce({
	rooms: [room],
	majors: [protocolVersion.oldestMajor, protocolVersion.major],
	kind: "node",
	joined: Date.now(),
	lends: {
		numericsClass: engine.info.numericsClass,
		memoryBytes,
		freeBytes: memoryBytes,
		bytesPerMs: 1e7,
		models: [id],
		spans: [{ model: id, ...span, ready: true, msPerToken: 0 }],
		streams: 0,
	},
});
process.send!("serving");
