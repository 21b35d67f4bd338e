import { sha256 } from "@noble/hashes/sha2.js";
import { bytesToHex } from "@noble/hashes/utils.js";
import { encodeCbor } from "@tabmesh/wire";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { StoredRecord } from "./record.ts";
import { Replica } from "./replica.ts";

const lawRuns = Number(process.env.FUZZ_RUNS ?? 10_000);

/** A record as it is after its signature was checked. What the laws need is its stamp, author and writes. */
function record(
	author: number,
	stamp: number,
	writes: readonly (readonly [string, number | null])[],
): StoredRecord {
	const id = bytesToHex(sha256(encodeCbor([author, stamp, writes])));
	return {
		id,
		author: `author ${author}`,
		authorKey: new Uint8Array(32).fill(author),
		stamp,
		writes: writes.map(([key, value]) => ({
			slot: key,
			key,
			field: undefined,
			value: value === null ? undefined : encodeCbor(value),
		})),
		wire: [new Uint8Array(0), []],
		bytes: 100 + writes.length,
	};
}

// Few keys, authors and stamps, so that everything collides.
const records = fc.array(
	fc
		.record({
			author: fc.nat(3),
			stamp: fc.nat(12),
			writes: fc.uniqueArray(
				fc.tuple(fc.constantFrom("a", "b", "c", "d"), fc.option(fc.nat(9), { freq: 3 })),
				{ minLength: 1, maxLength: 3, selector: ([key]) => key },
			),
		})
		.map(({ author, stamp, writes }) => record(author, stamp, writes)),
	{ maxLength: 12 },
);

function merged(...sets: (readonly StoredRecord[])[]): Replica {
	const replica = new Replica();
	for (const set of sets) for (const each of set) replica.merge(each);
	return replica;
}

/** What a replica says and keeps, as text. Two replicas with equal states cannot be told apart. */
function state(replica: Replica): string {
	const winners = ["a", "b", "c", "d"].map((key) => {
		const winner = replica.winner(key);
		return winner && `${winner.record.id} ${winner.write.value}`;
	});
	const items = replica.items.map(({ stamp, id }) => `${stamp} ${id}`);
	return [...winners, ...items, bytesToHex(replica.fingerprint), replica.bytes].join("\n");
}

/** All that a replica keeps, as another would get it by repair. */
const kept = (replica: Replica) => replica.items.map(({ id }) => replica.record(id)!);

describe("merging", () => {
	test("is commutative, associative and idempotent, whatever was deleted", () => {
		fc.assert(
			fc.property(records, records, records, (a, b, c) => {
				const whole = state(merged(a, b, c));
				expect(state(merged(c, a, b))).toBe(whole);
				expect(state(merged(b.toReversed(), c.toReversed(), a.toReversed()))).toBe(whole);
				// (a ∪ b) ∪ c = a ∪ (b ∪ c), also where only what is still kept is handed on.
				expect(state(merged(kept(merged(a, b)), c))).toBe(whole);
				expect(state(merged(a, kept(merged(b, c))))).toBe(whole);
				expect(state(merged(a, b, c, a, c, b))).toBe(whole);
			}),
			{ numRuns: lawRuns },
		);
	});

	test("gives each key to its newest write, a deletion as much as a value", () => {
		fc.assert(
			fc.property(records, (all) => {
				const replica = merged(all);
				for (const key of ["a", "b", "c", "d"]) {
					const writes = all.filter((each) => each.writes.some((write) => write.key === key));
					const newest = Math.max(...writes.map(({ stamp }) => stamp));
					const winner = replica.winner(key);
					expect(winner?.record.stamp).toBe(writes.length > 0 ? newest : undefined);
					if (winner) expect(replica.record(winner.record.id)).toBe(winner.record);
				}
			}),
			{ numRuns: lawRuns },
		);
	});

	test("keeps nothing that writes nothing any more, and its sums stay true", () => {
		fc.assert(
			fc.property(records, (all) => {
				const replica = merged(all);
				const winners = new Set(["a", "b", "c", "d"].flatMap((key) => replica.winner(key)?.record.id ?? []));
				expect(new Set(replica.items.map(({ id }) => id))).toEqual(winners);
				expect(replica.bytes).toBe(kept(replica).reduce((sum, { bytes }) => sum + bytes, 0));
				expect(bytesToHex(replica.fingerprint)).toBe(bytesToHex(merged(kept(replica)).fingerprint));
			}),
			{ numRuns: lawRuns / 10 },
		);
	});
});

test("nothing deleted comes back after its deletion was forgotten: what is older is collected and refused", () => {
	const replica = merged([record(1, 10, [["a", 1]]), record(2, 20, [["a", null]])]);
	expect(replica.winner("a")?.write.value).toBeUndefined();
	expect(replica.size).toBe(1);
	const collected = replica.collect(21);
	expect(collected.dropped).toHaveLength(1);
	expect(replica.size).toBe(0);
	// The rule of the store above: what is older than the horizon is not merged. Whatever a deletion of stamp 20 had
	// deleted is older than 20, and so older than the horizon that let the deletion go.
	expect(replica.items).toEqual([]);
});

test("an author beyond its quota loses its oldest records, in whatever order they came", () => {
	fc.assert(
		fc.property(
			fc.uniqueArray(fc.nat(1000), { minLength: 1, maxLength: 30 }),
			fc.nat({ max: 20 }),
			(stamps, most) => {
				const all = stamps.map((stamp) => record(1, stamp, [[`k${stamp}`, 1]]));
				const take = (order: readonly StoredRecord[]) => {
					const replica = new Replica();
					for (const each of order) {
						replica.merge(each);
						replica.shrink(each.author, { bytes: 1e9, records: most });
					}
					return replica.items.map(({ stamp }) => stamp);
				};
				const newest = stamps.toSorted((a, b) => a - b).slice(Math.max(0, stamps.length - most));
				expect(take(all)).toEqual(newest);
				expect(take(all.toReversed())).toEqual(newest);
			},
		),
		{ numRuns: 500 },
	);
});
