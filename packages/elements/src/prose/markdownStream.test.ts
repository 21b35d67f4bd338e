import fc from "fast-check";
import { expect, it } from "vitest";
import { hostile } from "../../gallery/hostile.ts";
import { MarkdownStream } from "./markdownStream.ts";

/** What was made, as HTML: templates are strings with values between them. */
function written(content: unknown): string {
	if (Array.isArray(content)) return content.map(written).join("");
	if (typeof content === "object" && content !== null && "strings" in content) {
		const { strings, values } = content as unknown as { strings: string[]; values: unknown[] };
		return strings.map((part, i) => part + (i < values.length ? written(values[i]) : "")).join("");
	}
	return typeof content === "string" || typeof content === "number" ? String(content) : "";
}

/** The whole of it, once `parts` have come one after the other. */
function shown(parts: readonly string[]): string {
	const stream = new MarkdownStream();
	let text = "";
	let out = "";
	let tail = "";
	const read = () => {
		for (let more = true; more; ) {
			const { pieces, tail: last, more: goesOn } = stream.read();
			for (const piece of pieces) {
				if (piece.kind !== "more code") out += written(piece.content);
				else out = out.replace(/(<\/code><\/pre><\/figure>)$/, () => `${piece.text}</code></pre></figure>`);
			}
			tail = written(last);
			more = goesOn;
		}
	};
	for (const part of parts) {
		text += part;
		expect(stream.write(text, false)).toBe(true);
		read();
	}
	stream.write(text, true);
	read();
	// The parser drops spaces behind the last line of code that has no end; nobody sees them.
	return (out + tail).replace(/[ \t]+(?=<\/code>)/g, "");
}

const fragment = fc.constantFrom(
	...[
		"word ",
		"\n",
		"\n\n",
		"# ",
		"## Title\n",
		"- ",
		"  - ",
		"1. ",
		"> ",
		"```",
		"```js\n",
		"~~~\n",
		"    ",
		"`",
		"**",
		"_",
	],
	...[
		"| a | b |\n",
		"|---|---|\n",
		"| c |",
		"---",
		"***\n",
		"[x](https://a.example)",
		"https://b.example ",
		"<b>",
		"&amp;",
		"\\",
	],
);

it("makes the same of a text however it is cut into pieces", () => {
	fc.assert(
		fc.property(fc.array(fragment, { maxLength: 40 }), fc.integer({ min: 1, max: 9 }), (fragments, size) => {
			const text = fragments.join("");
			const parts = text.match(new RegExp(`[\\s\\S]{1,${size}}`, "g")) ?? [];
			expect(shown(parts)).toBe(shown([text]));
		}),
		{ numRuns: Number(process.env.FUZZ_RUNS ?? 10_000) / 10 },
	);
});

it("takes the end of a text into account, not what lies before: the work grows with its length, not with its square", () => {
	const paragraph = `${"word ".repeat(40)}\n\n`;
	const stream = new MarkdownStream();
	let text = "";
	for (let i = 0; i < 500; i++) {
		text += paragraph;
		stream.write(text, false);
		for (let more = true; more; ) {
			const { pieces, more: goesOn } = stream.read();
			expect(pieces.length).toBeLessThan(3);
			more = goesOn;
		}
	}
});

it.each(["a huge table", "one endless fence", "ten thousand items", "words without an end"])(
	"loses nothing of a block that is longer than what is read at once: %s",
	(name) => {
		const text = hostile[name]!;
		const count = (within: string, what: RegExp) => within.match(what)?.length;
		const word = /cell|const|item|W/g;
		expect(count(shown([text]), word)).toBe(count(text, word));
		expect(count(shown(text.match(/[\s\S]{1,5000}/g)!), word)).toBe(count(text, word));
	},
);

it("keeps the head of a table that is cut", () => {
	const html = shown([hostile["a huge table"]!]);
	expect(html.match(/<table/g)!.length).toBeGreaterThan(1);
	expect(html.match(/<thead/g)!.length).toBe(html.match(/<table/g)!.length);
});

it("follows no link but those of the web and of mail, and says where they lead", () => {
	const html = shown([`${hostile.links}\n\n${hostile["links that look like another"]}`]);
	expect(html).not.toMatch(/href="?(?!https?:|mailto:)/);
	expect(html).toContain("(evil.example)");
	// The look-alike of a host shows its hyphens.
	expect(shown(["[bank](https://b\u0430nk.example)"])).toContain("(xn--bnk-6cd.example)");
});

it("gives headings levels that follow on one another, whatever the model gave them", () => {
	const html = shown(["#### A\n\n###### B\n\n#### C\n\n# D\n\n## E\n"]);
	expect(html.match(/<h\d/g)).toEqual(["<h3", "<h4", "<h3", "<h3", "<h4"]);
});
