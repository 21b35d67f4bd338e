import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { RendezvousStore, type ToRemember } from "./rendezvousStore.ts";

const message = (byte: number) => new Uint8Array([byte]);
const said = (change: Partial<ToRemember>): ToRemember => ({
	topic: "topic",
	author: "a",
	subject: "status",
	sequence: 1,
	message: message(0),
	lifeMs: 100,
	passing: false,
	...change,
});

describe("a rendezvous", () => {
	test("remembers the newest message of each author about each thing, in whatever order they come", () => {
		fc.assert(
			fc.property(
				fc.array(
					fc.tuple(
						fc.constantFrom("a", "b", "c"),
						fc.constantFrom("here", "status", "invitation"),
						fc.nat({ max: 50 }),
					),
					{ maxLength: 60 },
				),
				(messages) => {
					const store = new RendezvousStore({ now: () => 0 });
					const newest = new Map<string, number>();
					for (const [author, subject, sequence] of messages) {
						store.remember(said({ author, subject, sequence, message: message(sequence) }));
						const key = `${author} ${subject}`;
						newest.set(key, Math.max(sequence, newest.get(key) ?? 0));
					}
					const recalled = store.recall("topic").map((bytes) => bytes[0]!);
					expect(recalled.sort()).toEqual([...newest.values()].sort());
					expect(store.size).toBe(newest.size);
				},
			),
		);
	});

	test("forgets what expired, and that somebody is here who left; keeps what it wrote, and topics apart", () => {
		let now = 0;
		const store = new RendezvousStore({ now: () => now });
		store.remember(said({ message: message(1) }));
		store.remember(said({ topic: "other", message: message(2) }));
		now = 60;
		store.remember(said({ author: "b", message: message(3), lifeMs: 1000 }));
		store.remember(said({ author: "b", subject: "here", message: message(4), passing: true }));
		now = 120;
		expect(store.recall("topic")).toEqual([message(3), message(4)]);
		expect(store.recall("other")).toEqual([]);
		expect(store.left("b")).toEqual([{ topic: "topic", sequence: 1, message: message(3) }]);
		expect(store.left("nobody")).toEqual([]);
		expect(store.recall("topic")).toEqual([message(3)]);
		expect(store.size).toBe(1);
		now = 1100;
		expect(store.recall("topic")).toEqual([]);
		expect(store.size).toBe(0);
	});

	test("has room for so many authors, things and bytes, and forgets whoever was silent for longest", () => {
		const store = new RendezvousStore({ now: () => 0 });
		for (let n = 0; n < 10; n++) store.remember(said({ subject: `${n}`, message: message(n) }));
		expect(store.recall("topic")).toEqual([6, 7, 8, 9].map(message));
		for (let i = 0; i < 5_000; i++) store.remember(said({ author: `author ${i}` }));
		expect(store.size).toBe(5_000);
		// Whoever goes on speaking stays, however many strangers come.
		store.remember(said({ author: "author 0", sequence: 2, message: message(7) }));
		for (let i = 0; i < 4_999; i++) store.remember(said({ author: `stranger ${i}` }));
		expect(store.recall("topic")).toContainEqual(message(7));
		// A topic that takes most pays for what is too much.
		const small = said({ topic: "small", message: message(9) });
		store.remember(small);
		const heavy = new Uint8Array(16 * 1024);
		for (let i = 0; i < 3_000; i++)
			store.remember(said({ topic: `${i % 9}`, author: `author ${i}`, message: heavy }));
		const taken = Array.from({ length: 9 }, (_, i) => store.recall(`${i}`).length);
		expect(taken.reduce((a, b) => a + b)).toBeLessThanOrEqual(1024);
		expect(taken.reduce((a, b) => a + b)).toBeGreaterThan(1000);
		expect(store.recall("small")).toEqual([message(9)]);
	});
});
