import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { RendezvousStore } from "./rendezvousStore.ts";

const message = (byte: number) => new Uint8Array([byte]);

describe("a rendezvous", () => {
	test("remembers the newest message of each author on a topic, in whatever order they come", () => {
		fc.assert(
			fc.property(
				fc.array(fc.tuple(fc.constantFrom("a", "b", "c"), fc.nat({ max: 50 })), { maxLength: 60 }),
				(said) => {
					const store = new RendezvousStore({ expiryMs: 1000, now: () => 0 });
					const newest = new Map<string, number>();
					for (const [author, sequence] of said) {
						store.remember("topic", author, sequence, message(sequence));
						newest.set(author, Math.max(sequence, newest.get(author) ?? 0));
					}
					const recalled = store.recall("topic").map((bytes) => bytes[0]!);
					expect(recalled.sort()).toEqual([...newest.values()].sort());
					expect(store.size).toBe(newest.size);
				},
			),
		);
	});

	test("forgets what expired and who left, and keeps topics apart", () => {
		let now = 0;
		const store = new RendezvousStore({ expiryMs: 100, now: () => now });
		store.remember("one", "a", 1, message(1));
		store.remember("two", "a", 1, message(2));
		now = 60;
		store.remember("one", "b", 1, message(3));
		now = 120;
		expect(store.recall("one")).toEqual([message(3)]);
		expect(store.recall("two")).toEqual([]);
		store.forget("b");
		expect(store.recall("one")).toEqual([]);
		expect(store.size).toBe(0);
	});

	test("has room for so many authors and bytes and no more, and for new ones once old ones expired", () => {
		let now = 0;
		const store = new RendezvousStore({ expiryMs: 100, now: () => now });
		for (let i = 0; i < 5_000; i++) expect(store.remember("topic", `author ${i}`, 1, message(0))).toBe(true);
		expect(store.remember("topic", "one too many", 1, message(0))).toBe(false);
		now = 200;
		expect(store.remember("topic", "in time", 1, message(0))).toBe(true);
		expect(store.size).toBe(1);
		const heavy = new Uint8Array(16 * 1024);
		let taken = 0;
		for (let i = 0; i < 3_000; i++) if (store.remember(`room ${i % 9}`, `author ${i}`, 1, heavy)) taken++;
		expect(taken).toBeLessThanOrEqual(1024);
		expect(taken).toBeGreaterThan(1000);
	});
});
