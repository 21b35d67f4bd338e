import { createHash } from "node:crypto";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { nextLink, TokenChain } from "./tokenChain.ts";

describe("TokenChain", () => {
	it("is SHA-256 over previous link, position and token, cut to 8 bytes", () => {
		const chain = new TokenChain();
		chain.push(5);
		const bytes = Buffer.alloc(16);
		bytes.writeUInt32LE(0, 8);
		bytes.writeUInt32LE(5, 12);
		expect(Buffer.from(chain.head)).toEqual(createHash("sha256").update(bytes).digest().subarray(0, 8));
		const head = chain.head;
		expect(nextLink(head, 1, 9)).toEqual(chain.push(9));
	});

	it("comes to the same head after a rollback as if the rejected tokens had never been there", () => {
		fc.assert(
			fc.property(
				fc.array(fc.nat(1000), { maxLength: 200 }),
				fc.array(fc.nat(1000), { maxLength: 20 }),
				fc.array(fc.nat(1000), { maxLength: 20 }),
				(kept, rejected, after) => {
					const straight = new TokenChain();
					for (const token of [...kept, ...after]) straight.push(token);
					const rolled = new TokenChain();
					for (const token of [...kept, ...rejected]) rolled.push(token);
					rolled.truncate(kept.length);
					for (const token of after) rolled.push(token);
					expect(rolled.head).toEqual(straight.head);
					expect(rolled.length).toBe(straight.length);
				},
			),
			{ numRuns: 100 },
		);
	});

	it("differs as soon as one token or its position differs", () => {
		const of = (tokens: number[]) => {
			const chain = new TokenChain();
			for (const token of tokens) chain.push(token);
			return Buffer.from(chain.head).toString("hex");
		};
		expect(new Set([of([1, 2, 3]), of([1, 2, 4]), of([2, 1, 3]), of([1, 2]), of([])]).size).toBe(5);
	});

	it("refuses to go back to where it never was", () => {
		const chain = new TokenChain();
		chain.push(1);
		expect(() => chain.truncate(2)).toThrow(RangeError);
		expect(() => chain.at(-1)).toThrow(RangeError);
	});
});
