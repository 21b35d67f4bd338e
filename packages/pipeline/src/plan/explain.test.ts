import type { Span } from "@tabmesh/wire";
import { describe, expect, it } from "vitest";
import { type FixtureLender, fixtureMember, fixtureModel } from "../fixtures.ts";
import { explain, explainRoute } from "./explain.ts";
import { planRoute } from "./planRoute.ts";

const model = fixtureModel(6);
const span = (from: number, to: number): Span => ({ from, to, embed: from === 0, head: to === 6 });
const roomFor = (layers: number) => Math.ceil((layers * 4800 + 4000) / 0.9) + 1;
const sentences = (lenders: FixtureLender[], doubted = new Set<string>()) =>
	Object.fromEntries(
		explain(lenders.map(fixtureMember), model, { doubted }).map(({ peer, text }) => [peer, text]),
	);

describe("explain", () => {
	it("says of every lender in a sentence why it holds what it does", () => {
		const half = roomFor(3);
		const said = sentences(
			[
				{ peer: "first", joined: 1, memoryBytes: half, held: span(0, 3) },
				{ peer: "filler", joined: 2, memoryBytes: half },
				{ peer: "spare", joined: 3, memoryBytes: half },
				{ peer: "whole", joined: 4 },
				{ peer: "tiny", joined: 5, memoryBytes: 10 },
				{ peer: "liar", joined: 6 },
			],
			new Set(["liar"]),
		);
		expect(said.first).toMatch(/^Keeps layers 1–3: .* others? hold/);
		expect(said.whole).toMatch(/^Holds the whole model/);
		expect(said.spare).toMatch(/as a spare/);
		expect(said.tiny).toMatch(/^Holds nothing: no layer fits/);
		expect(said.liar).toMatch(/^Is not counted on/);
		for (const text of Object.values(said)) expect(text).toMatch(/^[A-Z][^\n]*\.$/);
	});

	it("tells a move and a gap that is filled", () => {
		const half = roomFor(3);
		const said = sentences([
			...["a", "b", "c"].map((peer, joined) => ({ peer, joined, memoryBytes: half, held: span(0, 3) })),
			{ peer: "d", joined: 4, memoryBytes: half, held: span(3, 6) },
		]);
		expect(said.c).toMatch(/^Moves to layers 4–6: they need it more/);
		expect(sentences([{ peer: "a", memoryBytes: half }]).a).toMatch(/^Takes layers 1–3: nobody held them/);
	});
});

describe("explainRoute", () => {
	it("says what each stage costs and who would take its place", () => {
		const members = [
			{ peer: "a", held: span(0, 3), bytesPerMs: 3000 },
			{ peer: "b", held: span(3, 6), bytesPerMs: 3000 },
			{ peer: "s", held: span(3, 6), bytesPerMs: 100, numericsClass: "ort1/webgpu/apple/f32/f32" },
		].map(fixtureMember);
		const view = { room: "public" };
		const [first, last] = explainRoute(planRoute(members, model, view), members, model, view);
		expect(first!.text).toMatch(/^Computes layers 1–3: 4\.0\sms of a lap of \d+\sms, \d+\sms on the way/);
		expect(first!.text).toContain("Nobody here could take its place");
		expect(last!.text).toContain("s takes over, with other rounding; 0 more could.");
	});
});
