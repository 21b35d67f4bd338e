import type { Member } from "@tabmesh/directory";
import type { Span } from "@tabmesh/wire";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type FixtureLender, fixtureMember, fixtureModel } from "../fixtures.ts";
import { type DealOptions, deal } from "./deal.ts";

const model = fixtureModel(6);
/** Bytes of memory in which `layers` inner layers and one edge fit. */
const roomFor = (layers: number) => Math.ceil((layers * 4800 + 4000) / 0.9) + 1;

const text = (span: Span | undefined) => (span ? `${span.from}-${span.to}` : "none");

function plan(lenders: FixtureLender[], options: DealOptions = {}, of = model) {
	const result = deal(lenders.map(fixtureMember), of, options);
	return { ...result, spans: lenders.map(({ peer }) => text(result.assignments.get(peer))) };
}

/** The swarm after everybody did as the deal says. */
function settle(members: readonly Member[], options: DealOptions): Member[] {
	const { assignments } = deal(members, model, options);
	return members.map((member) => {
		const span = assignments.get(member.peer);
		const spans = span ? [{ model: model.id, ...span, ready: true, msPerToken: 0 }] : [];
		return { ...member, lends: { ...member.lends!, spans } };
	});
}

describe("deal", () => {
	it("gives everybody everything when the model fits and no stages are asked for", () => {
		expect(plan([{ peer: "a" }, { peer: "b" }, { peer: "c" }]).spans).toEqual(["0-6", "0-6", "0-6"]);
	});

	it("splits the layers over the first lenders by join time when stages are asked for, and repeats the weakest for later ones", () => {
		const lenders = [
			{ peer: "d", joined: 4 },
			{ peer: "b", joined: 2 },
			{ peer: "c", joined: 3 },
			{ peer: "a", joined: 1 },
		];
		const result = plan(lenders, { minStages: 3 });
		expect(text(result.assignments.get("a"))).toBe("0-2");
		expect(text(result.assignments.get("b"))).toBe("2-4");
		expect(text(result.assignments.get("c"))).toBe("4-6");
		expect(text(result.assignments.get("d"))).toBe("0-2");
		expect(result.complete).toBe(true);
	});

	it("puts the embedding with the first layer and the head with the last", () => {
		const { assignments } = plan(
			[
				{ peer: "a", joined: 1 },
				{ peer: "b", joined: 2 },
			],
			{ minStages: 2 },
		);
		expect(assignments.get("a")).toMatchObject({ from: 0, embed: true, head: false });
		expect(assignments.get("b")).toMatchObject({ to: 6, embed: false, head: true });
	});

	it("counts a heavy head as work: its stage gets fewer layers", () => {
		const heavy = fixtureModel(6, 3000);
		const lenders = ["a", "b", "c"].map((peer, joined) => ({ peer, joined }));
		expect(plan(lenders, { minStages: 3 }, heavy).spans).toEqual(["0-2", "2-5", "5-6"]);
	});

	it("gives quicker lenders more layers", () => {
		const lenders = [
			{ peer: "a", joined: 1, bytesPerMs: 4000 },
			{ peer: "b", joined: 2, bytesPerMs: 1000 },
		];
		const { spans } = plan(lenders, { minStages: 2 });
		expect(spans).toEqual(["0-5", "5-6"]);
	});

	it("makes several pipelines of even stages where throughput is asked for, and one short lap where it is not", () => {
		const half = { memoryBytes: roomFor(3) };
		const lenders = ["a", "b", "c", "d"].map((peer, joined) => ({ peer, joined, ...half }));
		expect(plan(lenders, { objective: "throughput" }).spans.sort()).toEqual(["0-3", "0-3", "3-6", "3-6"]);
		const uneven = [
			{ peer: "quick", joined: 1, memoryBytes: roomFor(5), bytesPerMs: 1500 },
			{ peer: "slow", joined: 2, memoryBytes: roomFor(5), bytesPerMs: 1000 },
		];
		expect(plan(uneven, { objective: "throughput" }).spans).toEqual(["0-4", "4-6"]);
		expect(plan(uneven).spans).toEqual(["1-6", "0-1"]);
	});

	it("leaves the shares of lenders that are still to come", () => {
		const first = { peer: "a", joined: 1 };
		const second = { peer: "b", joined: 2 };
		expect(plan([first], { minStages: 3 })).toMatchObject({ spans: ["0-2"], complete: false });
		const held = { from: 0, to: 2, embed: true, head: false };
		expect(plan([{ ...first, held }, second], { minStages: 3 }).spans).toEqual(["0-2", "2-4"]);
	});

	it("uses the fewest lenders that can hold the model together, and says what is missing while they cannot", () => {
		const small = { memoryBytes: roomFor(2) };
		const one = plan([{ peer: "a", joined: 1, ...small }]);
		expect(one.complete).toBe(false);
		expect(one.missingBytes).toBeGreaterThan(4 * 4000);
		const three = plan([
			{ peer: "a", joined: 1, ...small },
			{ peer: "b", joined: 2, memoryBytes: roomFor(4) },
			{ peer: "c", joined: 3, ...small },
		]);
		expect(three).toMatchObject({ complete: true, missingBytes: 0 });
		expect(three.spans).toEqual(["0-2", "2-6", "0-2"]);
	});

	it("moves nobody when somebody joins a complete swarm", () => {
		const options = { minStages: 3 };
		let members = ["a", "b", "c"].map((peer, joined) => fixtureMember({ peer, joined }));
		members = settle(members, options);
		const before = deal(members, model, options).assignments;
		const after = deal([...members, fixtureMember({ peer: "z", joined: 9 })], model, options).assignments;
		for (const [peer, span] of before) expect(after.get(peer)).toEqual(span);
	});

	it("fills a gap with a lender that repeats others before it moves anybody else", () => {
		const span = (from: number, to: number) => ({ from, to, embed: from === 0, head: to === 6 });
		const small = roomFor(3);
		// Two lenders that saw each other too late took the same span.
		const lenders = [
			{ peer: "a", joined: 1, memoryBytes: small, held: span(0, 3) },
			{ peer: "b", joined: 2, memoryBytes: small, held: span(0, 3) },
		];
		expect(plan(lenders).spans).toEqual(["0-3", "3-6"]);
		const left = [
			{ peer: "a", joined: 1, memoryBytes: small, held: span(0, 3) },
			{ peer: "c", joined: 3, memoryBytes: small, held: span(0, 3) },
			{ peer: "d", joined: 4, memoryBytes: small },
		];
		expect(plan(left).spans).toEqual(["0-3", "0-3", "3-6"]);
	});

	it("deals anew when what remains cannot be completed otherwise", () => {
		const span = { from: 2, to: 4, embed: false, head: false };
		const lenders = [
			{ peer: "a", joined: 1, memoryBytes: roomFor(3), held: span },
			{ peer: "b", joined: 2, memoryBytes: roomFor(3) },
		];
		expect(plan(lenders)).toMatchObject({ spans: ["3-6", "0-3"], complete: true });
	});

	it("lets a neighbour take in the gap that a lender leaves, and moves nobody else", () => {
		const held = (from: number, to: number) => ({ from, to, embed: from === 0, head: to === 6 });
		const lenders = [
			{ peer: "b", joined: 2, held: held(2, 4) },
			{ peer: "c", joined: 3, held: held(4, 6) },
		].map((lender) => ({ ...lender, memoryBytes: roomFor(4) }));
		expect(plan(lenders)).toMatchObject({ spans: ["0-4", "4-6"], complete: true });
	});

	it("moves nobody for a gap that cannot be closed yet", () => {
		const held = (from: number, to: number) => ({ from, to, embed: from === 0, head: to === 6 });
		// Of three stages the first is gone. Alone, the other two could hold more layers than they do, but not all.
		const lenders = [
			{ peer: "b", joined: 2, held: held(3, 4) },
			{ peer: "c", joined: 3, held: held(4, 6) },
		];
		expect(plan(lenders, { minStages: 3 })).toMatchObject({ spans: ["3-4", "4-6"], complete: false });
		const small = lenders.map((lender) => ({ ...lender, memoryBytes: roomFor(2) }));
		expect(plan(small)).toMatchObject({ spans: ["3-4", "4-6"], complete: false });
	});

	it("counts a lender that moves where it moves to", () => {
		const moving = fixtureMember({
			peer: "a",
			joined: 1,
			held: { from: 0, to: 4, embed: true, head: false },
		});
		const target = { model: model.id, from: 4, to: 6, embed: false, head: true, ready: false, msPerToken: 0 };
		moving.lends!.spans.push(target);
		const other = fixtureMember({ peer: "b", joined: 2 });
		const { assignments } = deal([moving, other], model, { minStages: 2 });
		expect([text(assignments.get("a")), text(assignments.get("b"))]).toEqual(["4-6", "0-4"]);
	});

	const swarm = fc.uniqueArray(
		fc.record({
			peer: fc.string({ minLength: 1, maxLength: 4 }),
			joined: fc.nat(20),
			memoryBytes: fc.nat(40_000),
			bytesPerMs: fc.integer({ min: 1, max: 5000 }),
			held: fc.option(
				fc
					.tuple(fc.nat(5), fc.integer({ min: 1, max: 6 }))
					.map(([from, length]) => ({ from, to: Math.min(6, from + length) }))
					.map(({ from, to }) => ({ from, to, embed: from === 0, head: to === 6 })),
				{ nil: undefined },
			),
		}),
		{ selector: ({ peer }) => peer, maxLength: 8 },
	);
	const options = fc.record({ minStages: fc.integer({ min: 1, max: 8 }) });
	const toMembers = (lenders: { peer: string; held: Span | undefined }[]) =>
		lenders.map(({ held, ...lender }) => fixtureMember(held ? { ...lender, held } : lender));

	it("gives everybody the same answer, in whatever order they see the members", () => {
		fc.assert(
			fc.property(swarm, options, (lenders, chosen) => {
				const members = toMembers(lenders);
				const one = deal(members, model, chosen);
				const other = deal(members.toReversed(), model, chosen);
				expect(new Map([...other.assignments].sort())).toEqual(new Map([...one.assignments].sort()));
			}),
		);
	});

	it("never asks a lender for more than its memory", () => {
		fc.assert(
			fc.property(swarm, options, (lenders, chosen) => {
				const { assignments } = deal(toMembers(lenders), model, chosen);
				for (const { peer, memoryBytes } of lenders) {
					const span = assignments.get(peer);
					if (!span) continue;
					const edges = (span.embed ? 1 : 0) + (span.head ? 1 : 0);
					expect((span.to - span.from) * 4800 + edges * 4000).toBeLessThanOrEqual(memoryBytes * 0.9);
				}
			}),
		);
	});

	it("comes to rest: after a few rounds of doing what it says, it says the same again", () => {
		fc.assert(
			fc.property(swarm, options, (lenders, chosen) => {
				let members = toMembers(lenders);
				for (let round = 0; round < 8; round++) members = settle(members, chosen);
				expect(settle(members, chosen)).toEqual(members);
			}),
		);
	});

	/** Everybody after a few rounds of doing what the deal says. */
	const settled = (lenders: readonly Member[], chosen: DealOptions): Member[] => {
		let members = [...lenders];
		for (let round = 0; round < 8; round++) members = settle(members, chosen);
		return members;
	};
	const spansOf = (members: readonly Member[]) =>
		new Map(members.map(({ peer, lends }) => [peer, text(lends!.spans[0])]));

	it("moves nobody in a complete swarm, whatever is announced there and whoever joins", () => {
		const figures = fc.record({
			bytesPerMs: fc.integer({ min: 1, max: 5000 }),
			freeBytes: fc.nat(40_000),
			streams: fc.nat(16),
			ready: fc.boolean(),
			msPerToken: fc.nat(500),
		});
		const announced = fc.array(fc.tuple(fc.nat(), figures), { maxLength: 6 });
		fc.assert(
			fc.property(swarm, swarm, announced, options, (lenders, later, changes, chosen) => {
				let members = settled(toMembers(lenders), chosen);
				if (!deal(members, model, chosen).complete) return;
				const before = spansOf(members);
				for (const [pick, { ready, msPerToken, ...lends }] of changes) {
					members = members.map((member, i) => {
						if (i !== pick % members.length) return member;
						const spans = member.lends!.spans.map((span) => ({ ...span, ready, msPerToken }));
						return { ...member, lends: { ...member.lends!, ...lends, spans } };
					});
					expect(spansOf(settle(members, chosen))).toEqual(before);
				}
				for (const newcomer of toMembers(
					later.map(({ held: _, ...lender }) => ({ ...lender, held: undefined })),
				)) {
					if (before.has(newcomer.peer)) continue;
					members = settle([...members, newcomer], chosen);
					for (const [peer, span] of before) expect(spansOf(members).get(peer)).toBe(span);
				}
			}),
		);
	});

	/** The fewest layers that one lender alone can load so that every layer is held; undefined where that is not enough. */
	const leastForOne = (members: readonly Member[]): number | undefined => {
		let least: number | undefined;
		for (const member of members) {
			const others = members.filter(({ peer }) => peer !== member.peer);
			const [held] = member.lends!.spans;
			for (let from = 0; from < 6; from++) {
				for (let to = from + 1; to <= 6; to++) {
					const edges = (from === 0 ? 1 : 0) + (to === 6 ? 1 : 0);
					if ((to - from) * 4800 + edges * 4000 > member.lends!.memoryBytes * 0.9) continue;
					const covers = (span: { from: number; to: number }, layer: number) =>
						span.from <= layer && layer < span.to;
					const whole = [0, 1, 2, 3, 4, 5].every(
						(layer) =>
							covers({ from, to }, layer) ||
							others.some(({ lends }) => lends!.spans.some((span) => covers(span, layer))),
					);
					if (!whole) continue;
					const layers = Array.from({ length: to - from }, (_, i) => from + i);
					const cost = held ? layers.filter((layer) => !covers(held, layer)).length : 0;
					if (least === undefined || cost < least) least = cost;
				}
			}
		}
		return least;
	};

	it("closes the gap that a leaving lender makes with as few layers moved as one lender alone would need", () => {
		fc.assert(
			fc.property(swarm, fc.nat(), (lenders, pick) => {
				const chosen = { minStages: 1 };
				const members = settled(toMembers(lenders), chosen);
				if (!deal(members, model, chosen).complete) return;
				const staying = members.filter((_, i) => i !== pick % members.length);
				const least = leastForOne(staying);
				if (least === undefined) return;
				const { assignments, complete } = deal(staying, model, chosen);
				expect(complete).toBe(true);
				let moved = 0;
				for (const { peer, lends } of staying) {
					const [held] = lends!.spans;
					const target = assignments.get(peer);
					if (!held || !target) continue;
					const common = Math.max(0, Math.min(held.to, target.to) - Math.max(held.from, target.from));
					moved += target.to - target.from - common;
				}
				expect(moved).toBeLessThanOrEqual(least);
			}),
			{ numRuns: 2000 },
		);
	});

	it("comes to one rest when lenders act on old views of each other, and then stays there", () => {
		const events = fc.array(fc.tuple(fc.nat(), fc.nat()), { maxLength: 60 });
		fc.assert(
			fc.property(swarm, events, options, (lenders, order, chosen) => {
				const truth = new Map(toMembers(lenders).map((member) => [member.peer, member]));
				const peers = [...truth.keys()];
				if (peers.length === 0) return;
				// Each lender starts with itself alone in sight, and hears one other lender at a time.
				const views = new Map(peers.map((peer) => [peer, new Map([[peer, truth.get(peer)!]])]));
				const act = (peer: string): void => {
					const span = deal([...views.get(peer)!.values()], model, chosen).assignments.get(peer);
					if (!span) return;
					const member = truth.get(peer)!;
					const spans = [{ model: model.id, ...span, ready: true, msPerToken: 0 }];
					truth.set(peer, { ...member, lends: { ...member.lends!, spans } });
					views.get(peer)!.set(peer, truth.get(peer)!);
				};
				for (const [to, from] of order) {
					const [hearer, heard] = [peers[to % peers.length]!, peers[from % peers.length]!];
					views.get(hearer)!.set(heard, truth.get(heard)!);
					act(hearer);
				}
				// Then everybody hears everybody, one after the other, as after a repeat of all announcements.
				const rounds = 8;
				for (let round = 0; round < rounds; round++) {
					for (const peer of peers) {
						views.set(peer, new Map(truth));
						act(peer);
					}
				}
				const rest = [...truth.values()];
				const { assignments } = deal(rest, model, chosen);
				for (const [peer, span] of assignments) expect(spansOf(rest).get(peer)).toBe(text(span));
			}),
		);
	});

	it("takes nothing from anybody when a lender leaves whose layers others hold", () => {
		fc.assert(
			fc.property(swarm, options, fc.nat(), (lenders, chosen, pick) => {
				let members = toMembers(lenders);
				for (let round = 0; round < 8; round++) members = settle(members, chosen);
				if (members.length === 0) return;
				const before = deal(members, model, chosen);
				const staying = members.filter((_, i) => i !== pick % members.length);
				const after = deal(staying, model, chosen);
				const stillCovered =
					before.complete &&
					staying.length > 0 &&
					Array.from({ length: 6 }, (_, layer) => layer).every((layer) =>
						staying.some((m) => m.lends!.spans.some(({ from, to }) => from <= layer && layer < to)),
					);
				if (!stillCovered) return;
				for (const { peer } of staying) {
					const was = before.assignments.get(peer);
					if (was) expect(after.assignments.get(peer)).toEqual(was);
				}
			}),
		);
	});
});
