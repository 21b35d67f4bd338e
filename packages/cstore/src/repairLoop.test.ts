import { afterEach, describe, expect, test } from "vitest";
import { RepairLoop } from "./repairLoop.ts";

/** Longer than a loop waits for gossip before it compares. */
const patienceMs = 2_000;

/** Longer than the time between two looks for who has fallen silent. */
const sweepMs = 2_500;

const loops: RepairLoop[] = [];
afterEach(() => {
	for (const loop of loops.splice(0)) loop.stop();
});

function startLoop(presence = false) {
	const state = {
		kept: "now",
		clock: Date.now(),
		asked: [] as string[],
		connected: "",
		here: [] as string[],
	};
	const loop = new RepairLoop({
		now: () => state.clock,
		presence,
		fingerprint: () => state.kept,
		records: () => 10,
		sayDigest: () => {},
		connected: (peer) => peer === state.connected,
		compare: async (peer) => {
			state.asked.push(peer);
			return 0;
		},
		onPresence: (peer, present) => {
			state.here = present ? [...state.here, peer] : state.here.filter((each) => each !== peer);
		},
	});
	loops.push(loop);
	let stamp = 0;
	const hear = (peer: string, fingerprint: string, ageMs = 0): void =>
		loop.heard(peer, { stamp: ++stamp, ageMs, records: 10, fingerprint });
	/** Time in which we are awake. */
	const pass = (ms: number): void => {
		for (let passed = 0; passed < ms; passed += 1_000) {
			state.clock += 1_000;
			loop.sayDigestSoon();
		}
	};
	return { loop, state, hear, pass };
}

const wait = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

describe("comparing", () => {
	test("is for whom gossip will not help: not for a peer that keeps what we kept a moment ago, or are about to keep", async () => {
		const [behind, ahead, apart] = [startLoop(), startLoop(), startLoop()];
		behind.state.kept = "newer";
		behind.loop.changed();
		behind.hear("b", "now");
		ahead.hear("b", "newer");
		ahead.state.kept = "newer";
		ahead.loop.changed();
		ahead.state.kept = "newest";
		ahead.loop.changed();
		apart.hear("b", "something else");
		await wait(patienceMs);
		expect(behind.state.asked).toEqual([]);
		expect(ahead.state.asked).toEqual([]);
		expect(apart.state.asked).toEqual(["b"]);
		// Long behind: its gossip was lost.
		behind.pass(9_000);
		behind.hear("b", "now");
		await wait(patienceMs);
		expect(behind.state.asked).toEqual([]);
		behind.pass(9_000);
		behind.hear("b", "now");
		await wait(patienceMs);
		expect(behind.state.asked).toEqual(["b"]);
	});

	test("is left to the one that differs from all, so that a room does not fall upon it", async () => {
		const room = Array.from({ length: 100 }, () => startLoop());
		for (const { hear } of room) {
			for (let n = 0; n < 49; n++) hear(`peer ${n}`, "now");
			hear("odd", "odd");
		}
		const odd = startLoop();
		for (let n = 0; n < 50; n++) odd.hear(`peer ${n}`, "not what it keeps");
		await wait(patienceMs);
		// Two of a hundred, give or take.
		expect(room.filter(({ state }) => state.asked.length > 0).length).toBeLessThan(15);
		expect(odd.state.asked.length).toBeGreaterThan(0);
	});
});

test("a peer is here until it was not heard for more than two of its periods; an old copy of what it said does not bring it back", async () => {
	const { loop, state, hear, pass } = startLoop(true);
	loop.start();
	hear("a", "now");
	hear("b", "now", 20_000);
	hear("late", "now", 40_000);
	expect(state.here).toEqual(["a", "b"]);
	pass(9_000);
	loop.heard("b", { stamp: 1, ageMs: 0 });
	pass(9_000);
	await wait(sweepMs);
	expect(state.here).toEqual(["a"]);
	expect(loop.present).toEqual(["a"]);
	// However long we slept: that counts for no more than one missed period.
	state.clock += 3_600_000;
	await wait(sweepMs);
	expect(state.here).toEqual(["a"]);
	pass(9_000);
	await wait(sweepMs);
	expect(state.here).toEqual([]);
});

test("a peer that is said to be gone is, until it says something newer; not whom we are connected to", () => {
	const { loop, state } = startLoop(true);
	loop.heard("a", { stamp: 5, ageMs: 0 });
	loop.gone("a", 4);
	expect(state.here).toEqual(["a"]);
	state.connected = "a";
	loop.gone("a", 5);
	expect(state.here).toEqual(["a"]);
	state.connected = "";
	loop.gone("a", 5);
	expect(state.here).toEqual([]);
	loop.heard("a", { stamp: 5, ageMs: 0 });
	expect(state.here).toEqual([]);
	loop.heard("a", { stamp: 6, ageMs: 0 });
	expect(state.here).toEqual(["a"]);
	// What a relay remembers comes in any order.
	loop.gone("b", 3);
	loop.heard("b", { stamp: 3, ageMs: 0 });
	expect(state.here).toEqual(["a"]);
	loop.heard("b", { stamp: 4, ageMs: 0 });
	expect(state.here).toEqual(["a", "b"]);
});
