import type { Grammar, Rule } from "./grammar.ts";
import { bytesToNumber, growsNumber } from "./numberRange.ts";

/** Ways of going on that are followed at once. Where a schema has more, the later ones are not taken: what is written is valid all the same. */
const MOST_WAYS = 128;
/** Rules looked into for one byte: a limit for grammars that are made to be slow. */
const MOST_STEPS = 4096;

const QUOTE = 0x22;
const BACKSLASH = 0x5c;

/** What was begun and is to be gone on with: the innermost part first. */
interface Frame {
	readonly rule: Rule;
	/** Bytes of a literal, parts of a sequence, or what `StringPlace` says. */
	readonly at: number;
	/** Characters of a string so far. */
	readonly count: number;
	/** A number so far. */
	readonly text: string;
	readonly next: Frame | undefined;
	/** Bytes to the end of everything at least, or a few more. */
	readonly cost: number;
}

/** Where a string is: not begun; between two characters; behind a backslash; in an escaped code; in a character of several bytes. */
const place = {
	begin: 0,
	inside: 1,
	escape: 2,
	code: 3,
	codeOfD: 4,
	code3: 5,
	code2: 6,
	code1: 7,
	bytes: 8,
} as const;
/** From `place.bytes` on: how many bytes are missing, and what the next one may be. */
const ranges: readonly (readonly [missing: number, low: number, high: number])[] = [
	[1, 0x80, 0xbf],
	[2, 0x80, 0xbf],
	[3, 0x80, 0xbf],
	[2, 0xa0, 0xbf],
	[2, 0x80, 0x9f],
	[3, 0x90, 0xbf],
	[3, 0x80, 0x8f],
];

/** What a text so far can go on with: one way for each reading of it. */
export interface Match {
	readonly ways: readonly Frame[];
	/** Whether the text may end here. */
	readonly complete: boolean;
}

/** A string between two characters, of which a token's characters may all be a part. */
export interface StringWay {
	/** Characters that it may still take. */
	readonly room: number;
	/** Characters that it still needs. */
	readonly needs: number;
	/** Bytes to the end of everything. */
	readonly cost: number;
}

/** Reads texts byte by byte and knows at every point how they may go on. Nothing is changed: a match can be gone on with in several ways. */
export class Matcher {
	readonly #grammar: Grammar;

	constructor(grammar: Grammar) {
		this.#grammar = grammar;
	}

	begin(): Match {
		const found = new Found();
		this.#push(found, this.#grammar.root, undefined);
		return found;
	}

	/** With one byte more; undefined where no text goes on so. */
	advance(match: Match, byte: number): Match | undefined {
		const found = new Found();
		for (const frame of match.ways) this.#step(found, frame, byte);
		return found.complete || found.ways.length > 0 ? found : undefined;
	}

	/** One of the ways alone. */
	only(way: Frame): Match {
		return { ways: [way], complete: false };
	}

	/** Bytes to the end at least, or a few more. */
	cost(match: Match): number {
		return match.complete ? 0 : match.ways.reduce((least, { cost }) => Math.min(least, cost), Infinity);
	}

	/** Where a way is between two characters of a string. */
	stringAt(way: Frame): StringWay | undefined {
		const node = this.#grammar.nodes[way.rule]!;
		if (node.kind !== "string" || way.at !== place.inside) return undefined;
		return { room: node.most - way.count, needs: Math.max(0, node.least - way.count), cost: way.cost };
	}

	/** Whether a way takes everything that may come. */
	takesAll(way: Frame): boolean {
		return this.#grammar.nodes[way.rule]!.kind === "text" && way.at > 0;
	}

	/** Finds every way in which a rule begins. */
	#push(found: Found, rule: Rule, next: Frame | undefined, path: readonly Rule[] = []): void {
		// A rule that begins with itself begins no other way for it.
		if (path.includes(rule) || found.full()) return;
		const node = this.#grammar.nodes[rule]!;
		switch (node.kind) {
			case "choice":
				for (const each of node.rules) this.#push(found, each, next, [...path, rule]);
				return;
			case "sequence": {
				const [first] = node.rules;
				const rest = node.rules.length > 1 ? this.#frame(rule, { at: 1 }, next) : next;
				this.#push(found, first!, rest, [...path, rule]);
				return;
			}
			case "literal":
				if (node.bytes.byteLength === 0) this.#pop(found, next);
				else found.add(this.#frame(rule, {}, next));
				return;
			case "text":
				found.add(this.#frame(rule, {}, next));
				this.#pop(found, next);
				return;
			default:
				found.add(this.#frame(rule, {}, next));
		}
	}

	/** A part has ended: what comes behind it. */
	#pop(found: Found, next: Frame | undefined): void {
		if (next === undefined) {
			found.complete = true;
			return;
		}
		const node = this.#grammar.nodes[next.rule]!;
		if (node.kind !== "sequence") return;
		const { at } = next;
		const rest = at + 1 < node.rules.length ? this.#frame(next.rule, { at: at + 1 }, next.next) : next.next;
		this.#push(found, node.rules[at]!, rest);
	}

	#frame(rule: Rule, more: { at?: number; count?: number; text?: string }, next: Frame | undefined): Frame {
		const { at = 0, count = 0, text = "" } = more;
		const cost = this.#costOf(rule, at, count, text) + (next?.cost ?? 0);
		return { rule, at, count, text, next, cost };
	}

	#costOf(rule: Rule, at: number, count: number, text: string): number {
		const { nodes, shortest } = this.#grammar;
		const node = nodes[rule]!;
		switch (node.kind) {
			case "literal":
				return node.bytes.byteLength - at;
			case "sequence":
				return node.rules.slice(at).reduce((sum, part) => sum + shortest[part]!, 0);
			case "string": {
				const open = at === place.begin ? 1 : 0;
				const left =
					at <= place.inside
						? 0
						: at === place.escape
							? 1
							: at === place.codeOfD
								? 3
								: at < place.bytes
									? place.bytes - at + (at === place.code ? -1 : 0)
									: ranges[at - place.bytes]![0];
				return open + left + Math.max(0, node.least - count) + 1;
			}
			case "number":
				return bytesToNumber(text, node) ?? Infinity;
			default:
				return 0;
		}
	}

	#step(found: Found, frame: Frame, byte: number): void {
		const { rule, at, count, next } = frame;
		const node = this.#grammar.nodes[rule]!;
		switch (node.kind) {
			case "literal":
				if (node.bytes[at] !== byte) return;
				if (at + 1 === node.bytes.byteLength) this.#pop(found, next);
				else found.add(this.#frame(rule, { at: at + 1 }, next));
				return;
			case "number": {
				if (growsNumber(frame.text, byte, node.whole)) {
					const text = frame.text + String.fromCharCode(byte);
					const left = bytesToNumber(text, node);
					if (left !== undefined) {
						found.add(this.#frame(rule, { text }, next));
						if (left === 0) this.#pop(found, next);
					}
				}
				return;
			}
			case "text": {
				const isSpace = byte === 0x20 || (byte >= 0x09 && byte <= 0x0d);
				if (at === 0 && node.not.includes(byte)) return;
				found.add(this.#frame(rule, { at: at === 0 && isSpace ? 0 : 1 }, next));
				this.#pop(found, next);
				return;
			}
			case "string": {
				const after = stringAfter(at, byte, count < node.most);
				if (after === "end") {
					if (count >= node.least) this.#pop(found, next);
				} else if (after !== undefined) {
					// A character counts when it begins.
					const begins = at === place.inside ? 1 : 0;
					found.add(this.#frame(rule, { at: after, count: count + begins }, next));
				}
			}
		}
	}
}

/** What was found so far. */
class Found implements Match {
	readonly ways: Frame[] = [];
	complete = false;
	#steps = 0;

	add(frame: Frame): void {
		if (this.ways.length < MOST_WAYS) this.ways.push(frame);
	}

	/** Whether nothing more is to be looked for. Counts. */
	full(): boolean {
		return ++this.#steps > MOST_STEPS || this.ways.length >= MOST_WAYS;
	}
}

/** Where a string is behind one byte more (RFC 8259 §7, RFC 3629 §4). Codes of half characters are left out. */
function stringAfter(at: number, byte: number, room: boolean): number | "end" | undefined {
	switch (at) {
		case place.begin:
			return byte === QUOTE ? place.inside : undefined;
		case place.inside:
			if (byte === QUOTE) return "end";
			if (!room) return undefined;
			if (byte === BACKSLASH) return place.escape;
			return byte < 0x20 ? undefined : byte < 0x80 ? place.inside : leadingByte(byte);
		case place.escape:
			if (byte === 0x75) return place.code;
			return '"\\/bfnrt'.includes(String.fromCharCode(byte)) ? place.inside : undefined;
		case place.code:
			return byte === 0x44 || byte === 0x64 ? place.codeOfD : isHex(byte) ? place.code3 : undefined;
		case place.codeOfD:
			return byte >= 0x30 && byte <= 0x37 ? place.code2 : undefined;
		case place.code3:
			return isHex(byte) ? place.code2 : undefined;
		case place.code2:
			return isHex(byte) ? place.code1 : undefined;
		case place.code1:
			return isHex(byte) ? place.inside : undefined;
		default: {
			const [missing, low, high] = ranges[at - place.bytes]!;
			if (byte < low || byte > high) return undefined;
			return missing === 1 ? place.inside : place.bytes + missing - 2;
		}
	}
}

function leadingByte(byte: number): number | undefined {
	if (byte >= 0xc2 && byte <= 0xdf) return place.bytes;
	if (byte === 0xe0) return place.bytes + 3;
	if (byte === 0xed) return place.bytes + 4;
	if (byte >= 0xe1 && byte <= 0xef) return place.bytes + 1;
	if (byte === 0xf0) return place.bytes + 5;
	if (byte >= 0xf1 && byte <= 0xf3) return place.bytes + 2;
	return byte === 0xf4 ? place.bytes + 6 : undefined;
}

function isHex(byte: number): boolean {
	return (byte >= 0x30 && byte <= 0x39) || (byte >= 0x41 && byte <= 0x46) || (byte >= 0x61 && byte <= 0x66);
}
