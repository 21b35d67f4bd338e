import fc from "fast-check";
import { expect, it } from "vitest";
import { nextLink, TokenChain } from "../tokenChain.ts";
import { SentHistory, type SentStep } from "./sentHistory.ts";

const rowBytes = 4;

/** A step of `rows` rows whose bytes say their positions, as one story of tokens has them. */
function step(chain: TokenChain, rows: number, last: boolean): SentStep {
	const position = chain.length;
	const bytes = new Uint8Array(rows * rowBytes);
	for (let row = 0; row < rows; row++) {
		new DataView(bytes.buffer).setUint32(row * rowBytes, position + row, true);
		chain.push(position + row);
	}
	return { position, rows, chain: chain.head, links: [], last, bytes };
}

const positionsIn = ({ bytes }: SentStep) => {
	const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
	return Array.from({ length: bytes.byteLength / rowBytes }, (_, row) =>
		view.getUint32(row * rowBytes, true),
	);
};

it("gives every position again from anywhere, in order, with the chain behind the last one", () => {
	const story = new TokenChain();
	for (let i = 0; i < 400; i++) story.push(i);
	fc.assert(
		fc.property(
			fc.array(fc.record({ rows: fc.integer({ min: 1, max: 9 }), last: fc.boolean(), back: fc.nat(12) }), {
				minLength: 1,
				maxLength: 40,
			}),
			fc.nat(300),
			fc.integer({ min: 1, max: 32 }),
			(steps, start, most) => {
				const history = new SentHistory(rowBytes);
				const chain = new TokenChain();
				for (const { rows, last, back } of steps) {
					// Rejected drafts: the next step begins where they did.
					const position = Math.max(0, history.end - (back > 8 ? back - 8 : 0));
					history.rollback(position);
					chain.truncate(position);
					history.push(step(chain, rows, last));
				}
				expect(history.bytes).toBe(history.end * rowBytes);
				let at = Math.min(start, history.end);
				for (let next = history.from(at, most); next; next = history.from(at, most)) {
					expect(positionsIn(next)).toEqual(Array.from({ length: next.rows }, (_, row) => at + row));
					at += next.rows;
					expect(next.position + next.rows).toBe(at);
					expect(next.chain).toEqual(story.at(at));
				}
				expect(at).toBe(history.end);
				const end = Math.min(start, history.end);
				const begun = history.beginning(end, story.at(end));
				expect(begun).toMatchObject({ end, bytes: end * rowBytes });
				at = 0;
				for (let next = begun.from(at, most); next; next = begun.from(at, most)) {
					expect(positionsIn(next)).toEqual(Array.from({ length: next.rows }, (_, row) => at + row));
					at += next.rows;
					expect(next).toMatchObject({ chain: story.at(at), last: false });
				}
				expect(at).toBe(end);
			},
		),
		{ numRuns: Number(process.env.FUZZ_RUNS ?? 2_000) },
	);
});

it("gives a step as it was pushed where it is asked for alone: nothing is copied", () => {
	const history = new SentHistory(rowBytes);
	const chain = new TokenChain();
	history.push(step(chain, 3, false));
	const newest = step(chain, 1, true);
	history.push(newest);
	expect(history.from(3, 32)).toBe(newest);
	expect(history.from(0, 32)).toMatchObject({ position: 0, rows: 4, last: true });
	expect(history.from(4, 32)).toBeUndefined();
});

it("forgets whole steps when it is cut, and asks for no token behind what is left", () => {
	const history = new SentHistory(rowBytes);
	const chain = new TokenChain();
	history.push(step(chain, 5, true));
	history.push(step(chain, 1, true));
	history.push(step(chain, 1, true));
	history.truncate(6);
	expect(history.end).toBe(6);
	expect(history.certain.chain).toEqual(chain.at(6));
	expect(history.from(0, 32)).toMatchObject({ rows: 6, last: false });
	expect(history.from(5, 32)).toMatchObject({ rows: 1, last: false });
	// In the middle of a chunk only those who know the tokens know the chain.
	history.truncate(3);
	expect(history.end).toBe(0);
	expect(history.bytes).toBe(0);
	expect(history.certain.chain).toEqual(new Uint8Array(8));
	expect(nextLink(history.certain.chain, 0, 0)).toEqual(chain.at(1));
});
