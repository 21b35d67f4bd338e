import type { Span } from "@tabmesh/wire";
import { describe, expect, it } from "vitest";
import { fixtureMember, fixtureModel } from "../fixtures.ts";
import { deal } from "./deal.ts";
import { StalledLenders } from "./stalledLenders.ts";

const model = fixtureModel(6);
const span = (from: number, to: number): Span => ({ from, to, embed: from === 0, head: to === 6 });
const hourMs = 3_600_000;

describe("StalledLenders", () => {
	it("names who loads the same span for ever, and lets others take its layers", () => {
		const stalled = new StalledLenders();
		const members = [
			fixtureMember({ peer: "boaster", joined: 1, memoryBytes: 1e15, held: span(0, 6), ready: false }),
			fixtureMember({ peer: "honest", joined: 2, memoryBytes: 21_000 }),
			fixtureMember({ peer: "other", joined: 3, memoryBytes: 25_000 }),
		];
		expect(stalled.of(members, model, 0).size).toBe(0);
		expect(stalled.of(members, model, 60_000).size).toBe(0);
		const doubted = stalled.of(members, model, hourMs);
		expect([...doubted]).toEqual(["boaster"]);
		const dealt = deal(members, model, { doubted });
		expect(dealt).toMatchObject({ complete: true });
		expect([...dealt.assignments.keys()].sort()).toEqual(["honest", "other"]);
	});

	it("begins anew where somebody serves in between, loads something else or leaves", () => {
		const stalled = new StalledLenders();
		const loading = (to: number) => [fixtureMember({ peer: "a", held: span(0, to), ready: false })];
		stalled.of(loading(6), model, 0);
		stalled.of(loading(3), model, hourMs);
		expect(stalled.of(loading(3), model, hourMs + 1000).size).toBe(0);
		stalled.of([], model, hourMs + 2000);
		expect(stalled.of(loading(3), model, 5 * hourMs).size).toBe(0);
	});
});
