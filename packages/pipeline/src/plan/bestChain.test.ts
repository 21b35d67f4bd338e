import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { bestChain, type Device, type Part } from "./bestChain.ts";
import type { Links } from "./links.ts";

interface Drawn {
	memory: number;
	msPerLayer: number;
	x: number;
	y: number;
}

const layers = 8;
const headMs = 3;
const device = ({ memory, msPerLayer }: Drawn, i: number): Device => ({
	peer: `p${i}`,
	time: (from, to) => (to - from) * msPerLayer + (to === layers ? (headMs * msPerLayer) / 2 : 0),
	// The embedding and the head take the room of a layer.
	fits: (from, to) => to - from + (from === 0 ? 1 : 0) + (to === layers ? 1 : 0) <= memory,
});
const linksOf = (drawn: readonly Drawn[]): Links => {
	const rttMs = (a: string, b: string): number => {
		const [one, other] = [drawn[Number(a.slice(1))]!, drawn[Number(b.slice(1))]!];
		return Math.hypot(one.x - other.x, one.y - other.y);
	};
	return { rttMs, hopMs: (a, b) => (a === b ? 0 : rttMs(a, b) / 2 + 2) };
};
const lapOf = (parts: readonly Part<Device>[], links: Links): number =>
	parts.reduce(
		(sum, [{ peer, time }, { from, to }], i) =>
			sum + time(from, to) + links.hopMs(peer, parts[(i + 1) % parts.length]![0].peer),
		0,
	);

/** The shortest lap there is, by trying everything that is not already longer. */
function exhaustive(devices: readonly Device[], links: Links): number {
	let best = Number.POSITIVE_INFINITY;
	const extend = (parts: Part<Device>[], reached: number, ms: number): void => {
		if (ms >= best) return;
		if (reached === layers) {
			best = Math.min(best, lapOf(parts, links));
			return;
		}
		for (const next of devices) {
			if (parts.some(([{ peer }]) => peer === next.peer)) continue;
			const last = parts.at(-1);
			const way = last ? links.hopMs(last[0].peer, next.peer) : 0;
			for (let to = layers; to > reached; to--) {
				if (!next.fits(reached, to)) continue;
				extend([...parts, [next, { from: reached, to }]], to, ms + way + next.time(reached, to));
			}
		}
	};
	extend([], 0, 0);
	return best;
}

const drawnDevice = fc.record({
	memory: fc.integer({ min: 0, max: 11 }),
	msPerLayer: fc.integer({ min: 1, max: 60 }),
	x: fc.integer({ min: 0, max: 150 }),
	y: fc.integer({ min: 0, max: 150 }),
});

describe("bestChain", () => {
	it("finds the shortest lap that exhaustive search finds, or none where there is none", () => {
		fc.assert(
			fc.property(fc.array(drawnDevice, { maxLength: 5 }), (drawn) => {
				const devices = drawn.map(device);
				const links = linksOf(drawn);
				const parts = bestChain({ from: 0, to: layers }, devices, links);
				const best = exhaustive(devices, links);
				expect(parts === undefined).toBe(best === Number.POSITIVE_INFINITY);
				// Even cuts weigh a little against quick ones.
				if (parts) expect(lapOf(parts, links)).toBeLessThanOrEqual(best * 1.05);
			}),
			{ numRuns: 300 },
		);
	});

	it("gives an unbroken chain of ranges that fit their devices, whatever the number of devices", () => {
		fc.assert(
			fc.property(fc.array(drawnDevice, { minLength: 9, maxLength: 40 }), (drawn) => {
				const devices = drawn.map(({ memory, ...rest }, i) =>
					device({ ...rest, memory: Math.min(memory, 3) }, i),
				);
				const parts = bestChain({ from: 0, to: layers }, devices, linksOf(drawn));
				if (!parts) return;
				let reached = 0;
				for (const [{ fits }, { from, to }] of parts) {
					expect(from).toBe(reached);
					expect(fits(from, to)).toBe(true);
					reached = to;
				}
				expect(reached).toBe(layers);
				expect(new Set(parts.map(([{ peer }]) => peer)).size).toBe(parts.length);
			}),
		);
	});

	it("comes within a tenth of the best lap in swarms larger than it looks through", () => {
		fc.assert(
			fc.property(fc.array(drawnDevice, { minLength: 9, maxLength: 10 }), (drawn) => {
				const devices = drawn.map((each, i) => device({ ...each, memory: Math.max(5, each.memory) }, i));
				const links = linksOf(drawn);
				const parts = bestChain({ from: 0, to: layers }, devices, links);
				expect(lapOf(parts!, links)).toBeLessThanOrEqual(exhaustive(devices, links) * 1.1);
			}),
			{ numRuns: 50 },
		);
	});

	it("takes the neighbours of a gap into account", () => {
		const spot = (x: number): Drawn => ({ memory: 9, msPerLayer: 5, x, y: 0 });
		const drawn = [spot(0), spot(100), spot(10), spot(90)];
		const parts = bestChain(
			{ from: 2, to: 6 },
			[2, 3].map((i) => device(drawn[i]!, i)),
			linksOf(drawn),
			{
				before: ["p1"],
				after: ["p1"],
			},
		);
		expect(parts!.map(([{ peer }]) => peer)).toEqual(["p3"]);
	});
});
