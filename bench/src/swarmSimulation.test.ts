import { describe, expect, it } from "vitest";
import { modelOf, shapes } from "../../e2e/lab/modelOf.ts";
import { seeded } from "../../e2e/lab/seeded.ts";
import { type SwarmInit, SwarmSimulation } from "../../e2e/lab/swarmSimulation.ts";

const hourMs = 3_600_000;
const models = Array.from({ length: 6 }, (_, i) => modelOf(shapes.tinyLlama, `bafy${i}`));
/** Peers that decide by views which differ by up to seven seconds, and by minutes where somebody fell silent. */
const swarm = (change: Partial<SwarmInit> = {}): SwarmSimulation =>
	new SwarmSimulation({
		models,
		peers: 70,
		random: seeded(7),
		lifetimeMs: (random) => (-Math.log(1 - random()) / 0.2) * hourMs,
		memoryBytes: (random) => 500e6 * (0.4 + 1.2 * random()),
		diskBytes: 2 * 1024 ** 3,
		...change,
	});

describe("a swarm in which every peer decides for itself", () => {
	it("keeps every layer held while a fifth of the peers goes every hour, by views that disagree", () => {
		const simulation = swarm();
		simulation.run(4);
		const { covered, coveredTwice, left } = simulation.figures;
		expect(left).toBeGreaterThan(30);
		expect(covered).toBeGreaterThan(0.999);
		expect(coveredTwice).toBeGreaterThan(0.98);
	});

	it("comes to rest: when nobody comes or goes any more, nobody moves", () => {
		const simulation = swarm({ lifetimeMs: () => 1000 * hourMs });
		simulation.loseShare(0.2);
		simulation.run(2);
		expect(simulation.figures.moves).toBeGreaterThan(0);
		simulation.measureFromHere();
		simulation.run(24);
		expect(simulation.figures).toMatchObject({ moves: 0, covered: 1, bytesFetched: 0 });
	});

	it("holds every layer again after a third of the peers left at one moment", () => {
		const simulation = swarm({ lifetimeMs: () => 1000 * hourMs });
		simulation.loseShare(0.35);
		simulation.run(1);
		simulation.measureFromHere();
		simulation.run(1);
		expect(simulation.figures.covered).toBe(1);
	});

	it("keeps every layer held by lenders that keep nothing on a disk and do not grow, too", () => {
		const simulation = swarm({ diskBytes: 0, growing: false });
		simulation.run(4);
		expect(simulation.figures.covered).toBeGreaterThan(0.998);
	});

	it("is not brought down by peers that announce more memory than they have", () => {
		const simulation = swarm({ liars: 0.15 });
		simulation.run(1);
		simulation.measureFromHere();
		simulation.run(3);
		expect(simulation.figures.covered).toBeGreaterThan(0.995);
	});

	it("runs the same way again from the same seed", () => {
		const run = () => {
			const simulation = swarm();
			simulation.run(1);
			const { planMs: _, ...figures } = simulation.figures;
			return figures;
		};
		expect(run()).toEqual(run());
	});
});
