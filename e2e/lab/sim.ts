import { parseArgs } from "node:util";
import type { ModelRef } from "@tabmesh/model";
import { modelSizes, spanOf } from "@tabmesh/pipeline";
import { modelOf, shapes } from "./modelOf.ts";
import { seeded } from "./seeded.ts";
import { SwarmSimulation } from "./swarmSimulation.ts";

// `npm run sim -- --peers 10000`: the planner in a swarm of volunteers that come and go as published figures say
// (docs/decisions/0016-planner.md): nothing but `deal`, `rebalance` and `planRoute` decides.
const { values } = parseArgs({
	options: {
		peers: { type: "string", default: "1000" },
		hours: { type: "string", default: "6" },
		copies: { type: "string", default: "3" },
		liars: { type: "string", default: "0.02" },
		/** Gigabytes of blocks on each disk; 0 where nothing but the span is kept. */
		disk: { type: "string", default: "2" },
		seed: { type: "string", default: "1" },
	},
});
const peers = Number(values.peers);
const random = seeded(Number(values.seed));

/** Log-normal by its mean and the spread of its logarithm. */
function logNormal(random: () => number, mean: number, sigma: number): number {
	const normal = Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
	return mean * Math.exp(sigma * normal - sigma ** 2 / 2);
}

/** How long peers stay: a Weibull distribution with long tails, as in every measured peer-to-peer network. */
const shape = 0.5;
const scaleMs = 2.5 * 3_600_000;
const weibull = (random: () => number): number => scaleMs * (-Math.log(1 - random())) ** (1 / shape);
/** What is left of the stay of somebody who is here: whoever stays long is met more often (three exponential terms for one). */
const residual = (random: () => number): number => {
	const terms = [0, 0, 0].reduce((sum) => sum - Math.log(1 - random()), 0);
	return random() * scaleMs * terms ** (1 / shape);
};

const meanBytes = 1e9;
const numericsClass = "ort1/webgpu/any/q8/f16";
const mix = [shapes.tinyLlama, shapes.openLlama3b, shapes.mistral7b];
const models: ModelRef[] = [];
let bytes = 0;
for (;;) {
	const next = mix[models.length % mix.length]!;
	const model = modelOf(next, `bafy${models.length}`);
	const { layers, servingBytes } = modelSizes(model.manifest);
	bytes += servingBytes(spanOf(0, layers, layers), numericsClass);
	if (models.length > 0 && bytes * Number(values.copies) > peers * meanBytes * 0.9) break;
	models.push(model);
}
const simulation = new SwarmSimulation({
	models,
	peers,
	random,
	lifetimeMs: weibull,
	residualMs: residual,
	memoryBytes: (random) => Math.min(16e9, logNormal(random, meanBytes, 0.8)),
	...(Number(values.disk) > 0 ? { diskBytes: Number(values.disk) * 1e9 } : {}),
	liars: Number(values.liars),
});
const layers = models.reduce((sum, { manifest }) => sum + manifest.config.layers, 0);
console.log(
	`${peers} peers, ${models.length} models of ${layers} layers in all; one row for each simulated hour`,
);
const rows = [];
for (let hour = 1; hour <= Number(values.hours); hour++) {
	simulation.measureFromHere();
	simulation.run(1);
	const {
		covered,
		coveredTwice,
		meanHolders,
		joined,
		left,
		moves,
		layersMoved,
		bytesFetched,
		plans,
		planMs,
	} = simulation.figures;
	rows.push({
		hour,
		"held, %": Number((covered * 100).toFixed(3)),
		"held twice, %": Number((coveredTwice * 100).toFixed(2)),
		holders: Number(meanHolders.toFixed(2)),
		"lap, ms": Math.round(simulation.lapMs()),
		joined,
		left,
		moves,
		"layers moved": layersMoved,
		"fetched, GB": Math.round(bytesFetched / 1e9),
		plans,
		"ms a plan": Number((planMs / plans).toFixed(3)),
	});
}
console.table(rows);
