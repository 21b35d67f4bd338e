import { sha256 } from "@noble/hashes/sha2.js";
import { bytesToHex } from "@noble/hashes/utils.js";
import {
	type CstoreRange,
	cstoreRequestSchema,
	decodeCbor,
	encodeCbor,
	limits,
	MalformedMessageError,
} from "@tabmesh/wire";
import fc from "fast-check";
import { expect, test } from "vitest";
import { firstRanges, type ItemSet, reconcile } from "./reconcile.ts";
import { type Item, shortId } from "./replica.ts";

const fuzzRuns = Number(process.env.FUZZ_RUNS ?? 10_000);

function item(n: number, stamp: number): Item {
	return { id: bytesToHex(sha256(encodeCbor(n))), stamp };
}

function setOf(items: readonly Item[]): ItemSet {
	const sorted = items.toSorted((a, b) => a.stamp - b.stamp || (a.id < b.id ? -1 : 1));
	return {
		items: sorted,
		sumOf: (from, to) =>
			sorted.slice(from, to).reduce((sum, { id }) => sum + BigInt(`0x${id}`), 0n) % (1n << 256n),
	};
}

/** Runs a whole comparison, through the wire's own encoding. */
function compareSets(ours: ItemSet, theirs: ItemSet) {
	const have: string[] = [];
	const need: string[] = [];
	let bytes = 0;
	let rounds = 0;
	const travel = (ranges: CstoreRange[]): CstoreRange[] => {
		const message = encodeCbor({ type: "compare", ranges });
		bytes += message.byteLength;
		const read = decodeCbor(cstoreRequestSchema, message, limits.cstoreMessageBytes);
		if (read.type !== "compare") throw new Error("unreachable");
		return read.ranges;
	};
	for (let ranges = firstRanges(ours); ranges.length > 0; rounds++) {
		const answer = travel(reconcile(theirs, travel(ranges), false).ranges);
		const step = reconcile(ours, answer, true);
		ranges = step.ranges;
		have.push(...step.have);
		need.push(...step.need.map(({ id }) => id));
	}
	return { have: have.sort(), need: need.sort(), bytes, rounds };
}

const only = (a: readonly Item[], b: readonly Item[]) => {
	const known = new Set(b.map(({ id }) => id));
	return a
		.filter(({ id }) => !known.has(id))
		.map(({ id }) => shortId(id))
		.sort();
};

test("finds exactly the difference of any two sets", () => {
	fc.assert(
		fc.property(
			fc.uniqueArray(fc.nat(2000), { maxLength: 400, size: "max" }),
			// Stamps that differ, agree in bursts, or agree altogether.
			fc.constantFrom(1, 50, 5000),
			fc.nat(9),
			(numbers, spread, seed) => {
				const items = numbers.map((n) => item(n, 1000 + ((n * 7919) % spread)));
				const ours = items.filter((_, i) => (i * 31 + seed) % 10 < 8);
				const theirs = items.filter((_, i) => (i * 17 + seed) % 10 < 7);
				const found = compareSets(setOf(ours), setOf(theirs));
				expect(found.have).toEqual(only(ours, theirs));
				expect(found.need).toEqual(only(theirs, ours));
			},
		),
		{ numRuns: 200 },
	);
});

test("costs bytes in proportion to the difference, not to the sets", () => {
	const all = Array.from({ length: 10_000 }, (_, n) => item(n, 1_000_000 + n * 10));
	const costOf = (missing: number) => {
		const step = Math.floor(all.length / missing);
		const theirs = all.filter((_, i) => i % step !== 0 || i / step >= missing);
		const { bytes, need, have } = compareSets(setOf(all), setOf(theirs));
		expect(need).toEqual([]);
		expect(have).toHaveLength(all.length - theirs.length);
		return bytes;
	};
	expect(compareSets(setOf(all), setOf(all)).bytes).toBeLessThan(100);
	// Listing all ids both ways would be 320,000.
	expect(costOf(1)).toBeLessThan(4_000);
	expect(costOf(10)).toBeLessThan(30_000);
	expect(costOf(100)).toBeLessThan(200_000);
});

test("brings a newcomer everything in a few rounds, in messages that fit", () => {
	const all = Array.from({ length: 20_000 }, (_, n) => item(n, 1_000_000 + n));
	const { need, have, rounds } = compareSets(setOf([]), setOf(all));
	expect(have).toEqual([]);
	expect(need).toHaveLength(all.length);
	expect(rounds).toBeLessThan(20);
	expect(compareSets(setOf(all), setOf([])).have).toHaveLength(all.length);
});

test("answers any ranges that the wire lets through with ranges, or a typed error, and never with more than a message", () => {
	const all = setOf(Array.from({ length: 300 }, (_, n) => item(n, 1000 + n)));
	const range = fc
		.tuple(fc.nat(2000), fc.uint8Array({ maxLength: 16 }), fc.nat(2), fc.uint8Array({ maxLength: 5 }))
		.map(([stamp, prefix, mode, seed]): CstoreRange => {
			const bytes = new Uint8Array(mode === 0 ? 0 : mode === 1 ? 16 : seed.length * 16).fill(seed[0] ?? 0);
			return [stamp, prefix, mode as 0 | 1 | 2, bytes];
		});
	fc.assert(
		fc.property(fc.array(range, { maxLength: 6 }), fc.boolean(), (said, began) => {
			try {
				const { ranges } = reconcile(all, said, began);
				expect(encodeCbor({ type: "ranges", ranges }).byteLength).toBeLessThan(limits.cstoreMessageBytes);
			} catch (error) {
				expect(error).toBeInstanceOf(MalformedMessageError);
			}
		}),
		{ numRuns: fuzzRuns },
	);
});
