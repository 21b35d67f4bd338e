import { expect, test } from "vitest";
import { longestPiece, PieceSize } from "./pieceSize.ts";

/** Sends for a second over a line of that speed, a quarter of a MiB at a time, and says what the next piece has. */
function pieceAfterASecond(bytesPerMs: number, restMs = 0): number {
	const size = new PieceSize();
	const credit = 256 * 1024;
	for (let now = 0; now < 1000; now += credit / bytesPerMs + restMs) {
		size.sent(credit, now);
		size.granted(credit, now + credit / bytesPerMs);
	}
	return size.piece;
}

test("a piece takes a fast line no longer than a slow one: 32 ms, between 16 and 256 KiB", () => {
	expect(new PieceSize().piece).toBe(16 * 1024);
	expect(pieceAfterASecond(500)).toBe(16 * 1024);
	expect(pieceAfterASecond(2000)).toBeCloseTo(64_000, -3);
	expect(pieceAfterASecond(20_000)).toBe(longestPiece);
});

test("what a stream rests between two messages does not make its line look slow", () => {
	expect(pieceAfterASecond(2000, 200)).toBeCloseTo(pieceAfterASecond(2000), -2);
});

test("a line that becomes slow gets short pieces after a few credits", () => {
	const size = new PieceSize();
	let now = 0;
	const send = (ms: number): void => {
		size.sent(1000 * 1000, now);
		now += ms;
		size.granted(1000 * 1000, now);
	};
	for (let i = 0; i < 10; i++) send(50);
	expect(size.piece).toBe(longestPiece);
	for (let i = 0; i < 5; i++) send(4000);
	expect(size.piece).toBe(16 * 1024);
});
