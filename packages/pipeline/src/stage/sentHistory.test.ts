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

it("gives every position again in the runs in which it was computed, with the chain behind each", () => {
	const story = new TokenChain();
	for (let i = 0; i < 400; i++) story.push(i);
	fc.assert(
		fc.property(
			fc.array(
				fc.record({ rows: fc.integer({ min: 1, max: 9 }), drafted: fc.boolean(), accepted: fc.nat(8) }),
				{ minLength: 1, maxLength: 40 },
			),
			fc.nat(300),
			(laps, start) => {
				const history = new SentHistory(rowBytes);
				const chain = new TokenChain();
				/** Where runs begin: chunks, and each position that was decoded. */
				const borders = new Set<number>();
				for (const { rows, drafted, accepted } of laps) {
					borders.add(history.end);
					if (!drafted) {
						history.push(step(chain, rows, false));
						continue;
					}
					const { position } = { position: history.end };
					const links = Array.from({ length: rows - 1 }, (_, row) => story.at(position + row + 1));
					history.push({ ...step(chain, rows, true), links });
					const end = position + 1 + Math.min(accepted, rows - 1);
					for (let at = position; at < end; at++) borders.add(at);
					// Rejected drafts: the next step begins where they did.
					history.rollback(end);
					chain.truncate(end);
				}
				history.truncate(history.end);
				expect(history.bytes).toBe(history.end * rowBytes);
				const check = (begun: SentHistory, from: number) => {
					let at = from;
					for (let next = begun.from(at); next; next = begun.from(at)) {
						expect(positionsIn(next)).toEqual(Array.from({ length: next.rows }, (_, row) => at + row));
						expect(next).toMatchObject({ position: at, last: false, links: [] });
						at += next.rows;
						expect(next.chain).toEqual(story.at(at));
						expect(borders.has(at) || at === begun.end).toBe(true);
						for (let inside = at - next.rows + 1; inside < at; inside++) {
							expect(borders.has(inside)).toBe(false);
						}
					}
					expect(at).toBe(begun.end);
				};
				check(history, Math.min(start, history.end));
				const end = Math.min(start, history.end);
				const begun = history.beginning(end, story.at(end));
				expect(begun).toMatchObject({ end, bytes: end * rowBytes });
				check(begun, 0);
			},
		),
		{ numRuns: Number(process.env.FUZZ_RUNS ?? 500) },
	);
});

it("gives a step as it was pushed where it is asked for alone: nothing is copied", () => {
	const history = new SentHistory(rowBytes);
	const chain = new TokenChain();
	const chunk = step(chain, 3, false);
	history.push(chunk);
	const newest = step(chain, 1, true);
	history.push(newest);
	expect(history.from(3)).toBe(newest);
	expect(history.from(0)).toBe(chunk);
	expect(history.from(4)).toBeUndefined();
});

it("gives drafts that wait for a verdict together, and those that were accepted one by one", () => {
	const history = new SentHistory(rowBytes);
	const chain = new TokenChain();
	const drafted = step(chain, 3, true);
	const links = [chain.at(1), chain.at(2)];
	history.push({ ...drafted, links });
	expect(history.from(0)).toMatchObject({ rows: 3, last: true, links });
	history.rollback(2);
	expect(history.from(0)).toMatchObject({ rows: 1, last: false, links: [], chain: chain.at(1) });
	expect(history.from(1)).toMatchObject({ rows: 1, last: false, links: [], chain: chain.at(2) });
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
	expect(history.from(0)).toMatchObject({ rows: 5, last: false });
	expect(history.from(5)).toMatchObject({ rows: 1, last: false });
	// In the middle of a chunk only those who know the tokens know the chain.
	history.truncate(3);
	expect(history.end).toBe(0);
	expect(history.bytes).toBe(0);
	expect(history.certain.chain).toEqual(new Uint8Array(8));
	expect(nextLink(history.certain.chain, 0, 0)).toEqual(chain.at(1));
});
