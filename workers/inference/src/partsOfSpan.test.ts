import type { Span } from "@tabmesh/wire";
import fc from "fast-check";
import { expect, test } from "vitest";
import { gapsBetween, partsWithin } from "./partsOfSpan.ts";

const layers = 12;
/** Any span of a model, also one that is an embedding or a head alone. */
const spans = fc
	.tuple(fc.nat(layers), fc.nat(layers), fc.boolean(), fc.boolean())
	.map(([a, b, embed, head]): Span => {
		const [from, to] = [Math.min(a, b), Math.max(a, b)];
		return { from, to, embed: embed && from === 0, head: head && to === layers };
	})
	.filter(({ from, to, embed, head }) => from < to || embed || head);

test("parts that are there and the gaps between them are the span, each of its layers, embedding and head once", () => {
	fc.assert(
		fc.property(spans, fc.array(spans, { maxLength: 8 }), (span, there) => {
			const chosen = partsWithin(
				span,
				there.map((each) => ({ span: each })),
			);
			const parts = chosen.map((part) => part.span);
			const all = [...parts, ...gapsBetween(span, parts)];
			for (let layer = 0; layer < layers; layer++) {
				const count = all.filter(({ from, to }) => from <= layer && layer < to).length;
				expect(count).toBe(Number(span.from <= layer && layer < span.to));
			}
			expect(all.filter(({ embed }) => embed)).toHaveLength(Number(span.embed));
			expect(all.filter(({ head }) => head)).toHaveLength(Number(span.head));
		}),
	);
});

test("of parts that overlap the longest is taken", () => {
	const part = (from: number, to: number) => ({ span: { from, to, embed: false, head: false } });
	const [long, short, other] = [part(2, 6), part(1, 3), part(6, 8)];
	expect(partsWithin({ from: 0, to: 8, embed: true, head: false }, [short, long, other])).toEqual([
		long,
		other,
	]);
	expect(partsWithin({ from: 0, to: 5, embed: true, head: false }, [short, long, other])).toEqual([short]);
});
