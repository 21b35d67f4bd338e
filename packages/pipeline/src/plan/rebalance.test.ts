import type { Member } from "@tabmesh/directory";
import type { Span } from "@tabmesh/wire";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type FixtureLender, fixtureMember, fixtureModel } from "../fixtures.ts";
import { deal } from "./deal.ts";
import { rebalance } from "./rebalance.ts";

const model = fixtureModel(6);
const span = (from: number, to: number): Span => ({ from, to, embed: from === 0, head: to === 6 });
/** Bytes of memory in which `layers` inner layers and one edge fit. */
const roomFor = (layers: number) => Math.ceil((layers * 4800 + 4000) / 0.9) + 1;
const moves = (members: readonly Member[]) =>
	Object.fromEntries([...rebalance(members, model)].map(([peer, { from, to }]) => [peer, `${from}-${to}`]));
const of = (lenders: FixtureLender[]) => lenders.map(fixtureMember);

/** The swarm after everybody did as it says. */
function follow(members: readonly Member[], plan: ReadonlyMap<string, Span>): Member[] {
	return members.map((member) => {
		const target = plan.get(member.peer);
		if (!target) return member;
		const spans = [{ model: model.id, ...target, ready: true, msPerToken: 0 }];
		return { ...member, lends: { ...member.lends!, spans } };
	});
}

const lack = (members: readonly Member[]): number => {
	const holders = new Array<number>(6).fill(0);
	for (const { lends } of members) {
		for (const { from, to } of lends!.spans) for (let i = from; i < to; i++) holders[i]!++;
	}
	return holders.reduce((sum, count) => sum + Math.max(0, 2 - count), 0);
};

describe("rebalance", () => {
	const half = roomFor(3);

	it("gives layers with one holder a second one, of those whose layers have three", () => {
		const swarm = of([
			{ peer: "a", joined: 1, memoryBytes: half, held: span(0, 3) },
			{ peer: "b", joined: 2, memoryBytes: half, held: span(0, 3) },
			{ peer: "c", joined: 3, memoryBytes: half, held: span(0, 3) },
			{ peer: "d", joined: 4, memoryBytes: half, held: span(3, 6) },
		]);
		expect(moves(swarm)).toEqual({ c: "3-6" });
	});

	it("asks whoever has the layers on its disk rather than one that would have to fetch them", () => {
		const swarm = of([
			{ peer: "a", joined: 1, memoryBytes: half, held: span(0, 3) },
			{ peer: "b", joined: 2, memoryBytes: half, held: span(0, 3) },
			{ peer: "c", joined: 3, memoryBytes: half, held: span(0, 3) },
			{ peer: "d", joined: 4, memoryBytes: half, held: span(3, 6) },
		]);
		swarm[0]!.lends!.stored = [{ model: model.id, from: 0, to: 6 }];
		expect(moves(swarm)).toEqual({ a: "3-6" });
	});

	it("does not wait for somebody who still fetches where another has the layers on its disk", () => {
		const lenders: FixtureLender[] = [
			{ peer: "a", joined: 1, memoryBytes: half, held: span(0, 3), bytesPerMs: 700 },
			{ peer: "b", joined: 2, memoryBytes: half, held: span(0, 3), bytesPerMs: 700 },
			{ peer: "c", joined: 3, memoryBytes: half, held: span(0, 3), bytesPerMs: 700 },
			{ peer: "d", joined: 4, memoryBytes: half, held: span(3, 6) },
			{ peer: "e", joined: 5, memoryBytes: half, held: span(3, 6), ready: false },
		];
		expect(moves(of(lenders))).toEqual({});
		const swarm = of(lenders);
		swarm[1]!.lends!.stored = [{ model: model.id, from: 0, to: 6 }];
		expect(moves(swarm)).toEqual({ b: "3-6" });
	});

	it("takes nobody away whose place is held by somebody who still fetches", () => {
		const lenders: FixtureLender[] = [
			{ peer: "a", joined: 1, memoryBytes: half, held: span(0, 3) },
			{ peer: "b", joined: 2, memoryBytes: half, held: span(0, 3) },
			{ peer: "c", joined: 3, memoryBytes: half, held: span(0, 3), ready: false },
			{ peer: "d", joined: 4, memoryBytes: half, held: span(3, 6) },
		];
		expect(moves(of(lenders))).toEqual({});
		const arrived = lenders.map((lender) => ({ ...lender, ready: true }));
		expect(Object.values(moves(of(arrived)))).toEqual(["3-6"]);
	});

	it("moves nobody for throughput whom a third holder's place would bring back", () => {
		// 3-6 is slow; who leaves 0-3 for it leaves those layers with two, and has all layers on its disk.
		const lenders: FixtureLender[] = [
			...["a", "b", "c"].map((peer) => ({ peer, memoryBytes: half, held: span(0, 3), bytesPerMs: 1000 })),
			...["d", "e", "f"].map((peer) => ({ peer, memoryBytes: half, held: span(3, 6), bytesPerMs: 100 })),
		];
		const swarm = of(lenders);
		for (const { lends } of swarm) lends!.stored = [{ model: model.id, from: 0, to: 6 }];
		expect(moves(swarm)).toEqual({});
	});

	it("moves nobody in a swarm that lacks layers: closing gaps is the deal's work", () => {
		expect(
			moves(
				of([
					{ peer: "a", held: span(0, 3) },
					{ peer: "b", held: span(0, 3) },
				]),
			),
		).toEqual({});
	});

	it("moves a quick lender to where the swarm is slow, and not for less than a third", () => {
		const lenders = (slow: number): FixtureLender[] => [
			...["a", "b", "c"].map((peer) => ({ peer, memoryBytes: half, held: span(0, 3), bytesPerMs: 1000 })),
			...["d", "e"].map((peer) => ({ peer, memoryBytes: half, held: span(3, 6), bytesPerMs: slow })),
		];
		expect(Object.values(moves(of(lenders(300))))).toEqual(["3-6"]);
		expect(moves(of(lenders(1400)))).toEqual({});
	});

	const swarm = fc.uniqueArray(
		fc.record({
			peer: fc.string({ minLength: 1, maxLength: 4 }),
			joined: fc.nat(20),
			memoryBytes: fc.integer({ min: 15_000, max: 45_000 }),
			bytesPerMs: fc.integer({ min: 1, max: 5000 }),
			hasAllOnDisk: fc.boolean(),
		}),
		{ selector: ({ peer }) => peer, maxLength: 12 },
	);
	const settled = (lenders: readonly (FixtureLender & { hasAllOnDisk: boolean })[]): Member[] => {
		let members = lenders.map(({ hasAllOnDisk, ...lender }): Member => {
			const member = fixtureMember(lender);
			if (!hasAllOnDisk) return member;
			return { ...member, lends: { ...member.lends!, stored: [{ model: model.id, from: 0, to: 6 }] } };
		});
		for (let round = 0; round < 6; round++) members = follow(members, deal(members, model).assignments);
		return members;
	};

	it("comes to rest, and never leaves more layers without a second holder, or one without any", () => {
		fc.assert(
			fc.property(swarm, fc.nat(), (lenders, mask) => {
				let members = settled(lenders).filter((_, i) => !((mask >> i) & 1));
				const isWhole = (swarm: readonly Member[]) =>
					[0, 1, 2, 3, 4, 5].every((layer) =>
						swarm.some(({ lends }) => lends!.spans.some(({ from, to }) => from <= layer && layer < to)),
					);
				if (!isWhole(members)) return;
				for (let round = 0; ; round++) {
					const plan = rebalance(members, model);
					if (plan.size === 0) break;
					expect(round).toBeLessThan(20);
					const next = follow(members, plan);
					expect(lack(next)).toBeLessThanOrEqual(lack(members));
					expect(isWhole(next)).toBe(true);
					members = next;
				}
				// And the deal agrees with it.
				for (const [peer, { from, to }] of deal(members, model).assignments) {
					expect(members.find((member) => member.peer === peer)!.lends!.spans[0]).toMatchObject({ from, to });
				}
			}),
			{ numRuns: 300 },
		);
	});

	it("never asks a lender for more than its memory", () => {
		fc.assert(
			fc.property(swarm, (lenders) => {
				const members = settled(lenders);
				for (const [peer, { from, to }] of rebalance(members, model)) {
					const { memoryBytes } = lenders.find((lender) => lender.peer === peer)!;
					const edges = (from === 0 ? 1 : 0) + (to === 6 ? 1 : 0);
					expect((to - from) * 4800 + edges * 4000).toBeLessThanOrEqual(memoryBytes * 0.9);
				}
			}),
		);
	});
});
