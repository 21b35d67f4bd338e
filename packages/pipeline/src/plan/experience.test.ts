import type { Hop, Span } from "@tabmesh/wire";
import { describe, expect, it } from "vitest";
import { type FixtureLender, fixtureMember, fixtureModel } from "../fixtures.ts";
import { Experience } from "./experience.ts";
import { lapTime } from "./holders.ts";
import { planRoute } from "./planRoute.ts";

const model = fixtureModel(6);
const span = (from: number, to: number): Span => ({ from, to, embed: from === 0, head: to === 6 });
const minuteMs = 60_000;

/** Asks again and again; what each peer really takes per byte differs from what it announces where `truth` says so. */
function asking(lenders: FixtureLender[], truth: Record<string, number>) {
	const members = lenders.map(fixtureMember);
	const really = lenders.map((lender) =>
		fixtureMember({ ...lender, bytesPerMs: truth[lender.peer] ?? lender.bytesPerMs ?? 1000 }),
	);
	const experience = new Experience();
	const view = { room: "public" };
	let now = 0;
	return {
		experience,
		ask(): Hop[] {
			now += minuteMs / 6;
			const extraMs = (peer: string) => experience.extraMs(peer, now);
			const hops = planRoute(members, model, { ...view, extraMs });
			const announced = lapTime(hops, members, model, view).lapMs;
			experience.served(hops, announced, lapTime(hops, really, model, view).lapMs, now);
			return hops;
		},
	};
}

describe("Experience", () => {
	it("turns from a peer that lies about its speed to an honest one within a few answers", () => {
		const swarm = asking(
			[
				{ peer: "honest", held: span(0, 6), bytesPerMs: 1000 },
				{ peer: "liar", held: span(0, 6), bytesPerMs: 10_000 },
			],
			{ liar: 200 },
		);
		const asked = Array.from({ length: 30 }, () => swarm.ask()[0]!.peer);
		expect(asked[0]).toBe("liar");
		expect(asked.indexOf("honest")).toBeLessThan(3);
		// It is tried again when the memory of it fades, and loses at once.
		expect(asked.filter((peer) => peer === "liar").length).toBeLessThan(8);
	});

	it("finds the liar among the stages of a route, whose excess it shares at first", () => {
		const swarm = asking(
			[
				{ peer: "a", held: span(0, 3), bytesPerMs: 2000 },
				{ peer: "b", held: span(0, 3), bytesPerMs: 1900 },
				{ peer: "liar", held: span(3, 6), bytesPerMs: 9000 },
				{ peer: "d", held: span(3, 6), bytesPerMs: 1800 },
			],
			{ liar: 50 },
		);
		const asked = Array.from({ length: 30 }, () => swarm.ask());
		expect(asked[0]!.map(({ peer }) => peer)).toContain("liar");
		const late = asked.slice(10).flatMap((hops) => hops.map(({ peer }) => peer));
		expect(late.filter((peer) => peer === "liar").length).toBeLessThan(5);
	});

	it("leaves peers alone that take as long as they say", () => {
		const swarm = asking([{ peer: "a", held: span(0, 6) }], {});
		for (let i = 0; i < 5; i++) swarm.ask();
		expect(swarm.experience.extraMs("a", 0)).toBeLessThan(1e-6);
	});

	it("avoids whoever failed, for longer with every failure, and forgives with time", () => {
		const experience = new Experience();
		experience.failed("a", 0);
		const once = experience.extraMs("a", 0);
		experience.failed("a", 0);
		expect(experience.extraMs("a", 0)).toBeGreaterThan(once);
		expect(experience.extraMs("a", 120 * minuteMs)).toBeLessThan(once / 100);
		expect(experience.extraMs("b", 0)).toBe(0);
	});

	it("doubts whoever failed until the directory would have noticed that it is gone, or until it has served again", () => {
		const experience = new Experience();
		experience.failed("a", 0);
		expect(experience.isDoubtful("a", 30_000)).toBe(true);
		expect(experience.isDoubtful("a", minuteMs)).toBe(false);
		experience.failed("a", minuteMs);
		experience.served([{ peer: "a", span: span(0, 6) }], 10, 10, minuteMs);
		expect(experience.isDoubtful("a", minuteMs)).toBe(false);
		expect(experience.isDoubtful("b", 0)).toBe(false);
	});

	it("asks whoever refuses what it announces after others, without doubting that it is here, until it has served again", () => {
		const experience = new Experience();
		experience.refused("a", 0);
		const once = experience.extraMs("a", 0);
		expect(once).toBeGreaterThan(0);
		expect(experience.isDoubtful("a", 0)).toBe(false);
		experience.refused("a", 0);
		expect(experience.extraMs("a", 0)).toBe(2 * once);
		for (let i = 0; i < 4; i++) experience.served([{ peer: "a", span: span(0, 6) }], 10, 10, 0);
		expect(experience.extraMs("a", 0)).toBeLessThan(once / 4);
	});

	it("remembers a bounded number of peers", () => {
		const experience = new Experience();
		for (let i = 0; i < 2_000; i++) experience.failed(`p${i}`, 0);
		expect(experience.extraMs("p0", 0)).toBe(0);
		expect(experience.extraMs("p1999", 0)).toBeGreaterThan(0);
	});
});
