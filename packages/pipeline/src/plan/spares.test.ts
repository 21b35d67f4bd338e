import type { Hop, Span } from "@tabmesh/wire";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type FixtureLender, fixtureMember, fixtureModel } from "../fixtures.ts";
import { planRoute } from "./planRoute.ts";
import { replaceLost, sparesFor } from "./spares.ts";

const model = fixtureModel(6);
const view = { room: "public" };
const span = (from: number, to: number): Span => ({ from, to, embed: from === 0, head: to === 6 });
const hop = (peer: string, from: number, to: number): Hop => ({ peer, span: span(from, to) });
const text = (hops: readonly Hop[] | undefined) =>
	hops?.map(({ peer, span }) => `${peer}:${span.from}-${span.to}`).join(" ");

const route = [hop("a", 0, 2), hop("b", 2, 4), hop("c", 4, 6)];
const stages: FixtureLender[] = [
	{ peer: "a", held: span(0, 2) },
	{ peer: "b", held: span(2, 4) },
	{ peer: "c", held: span(4, 6) },
];
const spares = (others: FixtureLender[], stage = route[1]!) =>
	sparesFor(stage, route, [...stages, ...others].map(fixtureMember), model, view);

describe("sparesFor", () => {
	it("names those who hold the whole span, the same numerics class first, then ready, exact and quick ones", () => {
		const found = spares([
			{ peer: "part", held: span(2, 3) },
			{ peer: "other", held: span(2, 4), numericsClass: "ort1/webgpu/apple/f32/f32" },
			{ peer: "loading", held: span(2, 4), ready: false },
			{ peer: "wide", held: span(0, 6), bytesPerMs: 5000 },
			{ peer: "slow", held: span(2, 4), bytesPerMs: 500 },
			{ peer: "quick", held: span(2, 4), bytesPerMs: 2000 },
		]);
		expect(found.map(({ peer }) => peer)).toEqual(["quick", "slow", "wide", "loading", "other"]);
		expect(found[0]).toMatchObject({ sameClass: true, ready: true, exact: true });
		expect(found.at(-1)).toMatchObject({ sameClass: false, numericsClass: "ort1/webgpu/apple/f32/f32" });
	});

	it("never names a peer of the route or one that is excluded", () => {
		const members = [...stages, { peer: "d", held: span(0, 6) }].map(fixtureMember);
		expect(sparesFor(route[0]!, route, members, model, { ...view, exclude: new Set(["d"]) })).toEqual([]);
	});

	it("counts the ways from and to the neighbours", () => {
		const links = (rttMs: number): [string, number, boolean][] => [
			["a", rttMs, false],
			["c", rttMs, false],
		];
		const found = spares([
			{ peer: "far", held: span(2, 4), links: links(300) },
			{ peer: "near", held: span(2, 4), links: links(10) },
		]);
		expect(found.map(({ peer }) => peer)).toEqual(["near", "far"]);
		expect(found[1]!.stageMs - found[0]!.stageMs).toBeCloseTo(290);
	});
});

describe("replaceLost", () => {
	const replace = (others: FixtureLender[], ...lost: string[]) =>
		replaceLost(route, new Set(lost), [...stages, ...others].map(fixtureMember), model, view);

	it("replaces one stage and leaves the others as they are", () => {
		expect(text(replace([{ peer: "d", held: span(2, 4) }], "b"))).toBe("a:0-2 d:2-4 c:4-6");
		expect(text(replace([{ peer: "d", held: span(0, 6) }], "c"))).toBe("a:0-2 b:2-4 d:4-6");
	});

	it("takes who kept us waiting before only where nobody else can", () => {
		const extraMs = (peer: string) => (peer === "quick" ? 1_000 : 0);
		const others = [
			{ peer: "quick", held: span(2, 4), bytesPerMs: 2000 },
			{ peer: "slow", held: span(2, 4), bytesPerMs: 500 },
		];
		const replaced = (them: FixtureLender[]) =>
			text(
				replaceLost(route, new Set(["b"]), [...stages, ...them].map(fixtureMember), model, {
					...view,
					extraMs,
				}),
			);
		expect(replaced(others)).toBe("a:0-2 slow:2-4 c:4-6");
		expect(replaced(others.slice(0, 1))).toBe("a:0-2 quick:2-4 c:4-6");
	});

	it("closes the gap of neighbours lost together, with one spare or several", () => {
		expect(text(replace([{ peer: "d", held: span(0, 4) }], "a", "b"))).toBe("d:0-4 c:4-6");
		const two = [
			{ peer: "d", held: span(2, 5) },
			{ peer: "e", held: span(5, 6) },
		];
		expect(text(replace(two, "b", "c"))).toBe("a:0-2 d:2-5 e:5-6");
		expect(text(replace([{ peer: "d", held: span(0, 6) }], "a", "b", "c"))).toBe("d:0-6");
	});

	it("uses nobody twice, and says so where nobody is left", () => {
		const one = [{ peer: "d", held: span(0, 6) }];
		expect(replace(one, "a", "c")).toBeUndefined();
		expect(replace([], "b")).toBeUndefined();
	});

	it("takes spares that compute the same floats where they suffice", () => {
		const other = { numericsClass: "ort1/webgpu/apple/f32/f32", bytesPerMs: 9000 };
		const same = { peer: "d", held: span(2, 4), bytesPerMs: 100 };
		expect(text(replace([same, { peer: "e", held: span(2, 4), ...other }], "b"))).toBe("a:0-2 d:2-4 c:4-6");
		expect(text(replace([{ peer: "e", held: span(2, 4), ...other }], "b"))).toBe("a:0-2 e:2-4 c:4-6");
	});

	it("makes an unbroken chain over distinct peers of everything that it replaces", () => {
		const lender = fc
			.tuple(fc.nat(5), fc.integer({ min: 1, max: 6 }))
			.map(([from, length]) => span(from, Math.min(6, from + length)));
		fc.assert(
			fc.property(fc.array(lender, { maxLength: 10 }), fc.nat(), (helds, mask) => {
				const members = helds.map((held, i) => fixtureMember({ peer: `p${i}`, held }));
				let hops: Hop[];
				try {
					hops = planRoute(members, model, view);
				} catch {
					return;
				}
				const lost = new Set(hops.filter((_, i) => (mask >> i) & 1).map(({ peer }) => peer));
				const staying = members.filter(({ peer }) => !lost.has(peer));
				const replaced = replaceLost(hops, lost, staying, model, view);
				if (!replaced) return;
				expect(replaced[0]!.span.from).toBe(0);
				expect(replaced.at(-1)!.span.to).toBe(6);
				for (const [i, { span }] of replaced.slice(1).entries()) expect(span.from).toBe(replaced[i]!.span.to);
				expect(new Set(replaced.map(({ peer }) => peer)).size).toBe(replaced.length);
				expect(replaced.some(({ peer }) => lost.has(peer))).toBe(false);
				for (const kept of hops) if (!lost.has(kept.peer)) expect(replaced).toContainEqual(kept);
			}),
			{ numRuns: 500 },
		);
	});
});
