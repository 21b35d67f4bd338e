import { publishModel, spanSize } from "@tabmesh/model";
import { openSeededModel } from "@tabmesh/model/testing";
import type { Span } from "@tabmesh/wire";
import fc from "fast-check";
import { expect, test } from "vitest";
import { type SpanShare, splitSpan } from "./splitSpan.ts";

const layers = 8;
const { manifest } = await publishModel(await openSeededModel({ layers }));
const format = { weights: "f32", keyValues: "rows" } as const;
const whole: Span = { from: 0, to: layers, embed: true, head: true };
const wholeBytes = spanSize(manifest, whole, format).weightBytes;

const split = (span: Span, rooms: readonly number[]): SpanShare[] | undefined =>
	splitSpan(manifest, span, format, 1, rooms);

const spans: fc.Arbitrary<Span> = fc
	.record({ a: fc.nat(layers), b: fc.nat(layers), embed: fc.boolean(), head: fc.boolean() })
	.map(({ a, b, embed, head }) => {
		const [from, to] = [Math.min(a, b), Math.max(a, b)];
		return { from, to, embed: embed && from === 0, head: head && to === layers };
	})
	.filter(({ from, to, embed, head }) => from < to || embed || head);

test("the shares of a span are that span, one behind the other, each in a place of its own that has room for it", () => {
	fc.assert(
		fc.property(spans, fc.array(fc.integer({ min: 0, max: wholeBytes }), { maxLength: 6 }), (span, rooms) => {
			const shares = split(span, rooms);
			if (!shares) return;
			expect(new Set(shares.map(({ place }) => place)).size).toBe(shares.length);
			for (const [i, share] of shares.entries()) {
				expect(share.bytes).toBeLessThanOrEqual(rooms[share.place]!);
				expect(share.span.from).toBe(i === 0 ? span.from : shares[i - 1]!.span.to);
				expect(share.span.embed).toBe(i === 0 && span.embed);
				expect(share.span.head).toBe(i === shares.length - 1 && span.head);
			}
			expect(shares.at(-1)!.span.to).toBe(span.to);
		}),
	);
});

test("what fits in a place with the keys and values of one stream is not cut, and places that are half empty suffice for all", () => {
	expect(split(whole, [10 * wholeBytes, 20 * wholeBytes])).toMatchObject([{ place: 1, span: whole }]);
	fc.assert(
		fc.property(fc.double({ min: 0.25, max: 1, noNaN: true }), (part) => {
			const room = part * wholeBytes;
			expect(split(whole, new Array(2 * Math.ceil(1 / part)).fill(room))).toBeDefined();
		}),
	);
});

test("shares are equally full, so that streams find room beside all of them", () => {
	const shares = split({ from: 0, to: 8, embed: false, head: false }, new Array(4).fill(0.6 * wholeBytes))!;
	expect(shares.map(({ span }) => span.to - span.from)).toEqual([4, 4]);
});

test("what finds no room is not shared at all", () => {
	expect(split(whole, [])).toBeUndefined();
	expect(split(whole, [0.4 * wholeBytes, 0.4 * wholeBytes])).toBeUndefined();
	expect(split(whole, new Array(16).fill(0.01 * wholeBytes))).toBeUndefined();
});
