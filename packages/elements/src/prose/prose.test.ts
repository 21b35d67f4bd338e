import type { Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type {} from "../../gallery/gallery.ts";
import { hostile } from "../../gallery/hostile.ts";
import { type OpenGallery, openGallery } from "../../gallery/openGallery.ts";

/** All that may be made of a model's text, and what it may carry. */
const elements = [
	...[
		"p",
		"h3",
		"h4",
		"h5",
		"h6",
		"ul",
		"ol",
		"li",
		"blockquote",
		"hr",
		"br",
		"strong",
		"em",
		"s",
		"a",
		"span",
		"code",
		"pre",
	],
	...["figure", "figcaption", "button", "table", "thead", "tbody", "tr", "th", "td", "div"],
];
const attributes = [
	"dir",
	"start",
	"class",
	"href",
	"rel",
	"target",
	"type",
	"tabindex",
	"role",
	"aria-label",
	"scope",
];

/** A frozen page is one that answers nobody for longer than that; a busy test machine is not. */
const freezeMs = 1_000;
/** How many pieces an answer comes in, however long. */
const pieces = 100;

/** All of them with `npm run test:large`; else the worst, and all that would run put together. */
const worst = ["ten thousand fences", "zalgo", "one letter with a hundred thousand marks", "brackets"];
const corpus =
	process.env.TABMESH_LARGE === "1"
		? hostile
		: {
				"all that would run, fetch or mislead": Object.keys(hostile)
					.filter((name) => hostile[name]!.length < 20_000)
					.map((name) => hostile[name])
					.join("\n\n"),
				"a huge table": hostile["a huge table"]!.slice(0, 40_000),
				...Object.fromEntries(worst.map((name) => [name, hostile[name]!])),
			};

interface Seen {
	readonly pwned: readonly string[];
	readonly violations: readonly string[];
	readonly elements: readonly string[];
	readonly attributes: readonly string[];
	readonly links: readonly string[];
	/** Milliseconds of the longest task while it was written, and of the longest frame of sixty while it was scrolled. */
	readonly longestTask: number;
	readonly longestFrame: number;
	readonly drawMs: number;
}

/** Puts `text` through the whole chat as an answer that streams, and scrolls through what became of it. */
async function answer({ text, pieces }: { text: string; pieces: number }): Promise<Seen> {
	const frame = () => new Promise<number>((resolve) => requestAnimationFrame(resolve));
	const tasks: number[] = [];
	const observer = new PerformanceObserver((list) =>
		tasks.push(...list.getEntries().map(({ duration }) => duration)),
	);
	observer.observe({ entryTypes: ["longtask"] });
	const violations: string[] = [];
	const onViolation = ({ violatedDirective, sourceFile }: SecurityPolicyViolationEvent) =>
		violations.push(`${violatedDirective} ${sourceFile}`);
	document.addEventListener("securitypolicyviolation", onViolation);
	const { tabmesh } = window.gallery;
	const size = Math.ceil(text.length / pieces);
	tabmesh.answer = [
		...Array.from({ length: Math.ceil(text.length / size) }, (_, i) => ({
			text: text.slice(i * size, (i + 1) * size),
		})),
		{ end: "stop" },
	];
	const root = document.querySelector("tabmesh-chat")!.shadowRoot!;
	const input = root.querySelector("textarea")!;
	input.value = "Be evil.";
	input.dispatchEvent(new InputEvent("input"));
	await frame();
	const start = performance.now();
	root.querySelector("form")!.requestSubmit();
	await tabmesh.rested;
	let prose = root.querySelector("tabmesh-prose");
	while (!prose || prose.running) {
		await frame();
		prose = root.querySelector("tabmesh-prose");
	}
	await prose.drawn;
	const drawMs = performance.now() - start;
	const height = document.documentElement.scrollHeight;
	let longestFrame = 0;
	let last = await frame();
	for (let i = 0; i <= 60; i++) {
		scrollTo(0, (height * i) / 60);
		const now = await frame();
		longestFrame = Math.max(longestFrame, now - last);
		last = now;
	}
	for (const link of prose.querySelectorAll("a"))
		for (const type of ["mouseover", "focus", "pointerdown"]) link.dispatchEvent(new Event(type));
	await frame();
	observer.disconnect();
	document.removeEventListener("securitypolicyviolation", onViolation);
	const made = [...prose.querySelectorAll("*")];
	return {
		pwned: (window as unknown as { pwned?: string[] }).pwned ?? [],
		violations,
		elements: [...new Set(made.map(({ localName }) => localName))],
		attributes: [...new Set(made.flatMap((element) => element.getAttributeNames()))],
		links: [...new Set([...prose.querySelectorAll("a")].map(({ protocol, rel }) => `${protocol} ${rel}`))],
		longestTask: Math.max(0, ...tasks),
		longestFrame,
		drawMs,
	};
}

describe("<tabmesh-prose>", () => {
	let gallery: OpenGallery;
	let page: Page;
	const requests: string[] = [];
	beforeAll(async () => {
		gallery = await openGallery();
		page = await gallery.show("chat-markdown");
		page.on("request", (request) => requests.push(request.url()));
	});
	afterAll(async () => {
		expect(gallery.complaints).toEqual([]);
		await gallery.close();
	});

	it.each(Object.keys(corpus))("runs nothing, fetches nothing and freezes nothing: %s", async (name) => {
		await gallery.show("chat-ready", page);
		requests.length = 0;
		const seen = await page.evaluate(answer, { text: corpus[name as keyof typeof corpus]!, pieces });
		if (process.env.FIGURES)
			console.log(name, Math.round(seen.drawMs), Math.round(seen.longestTask), Math.round(seen.longestFrame));
		expect(seen.pwned).toEqual([]);
		expect(seen.violations).toEqual([]);
		expect(elements).toEqual(expect.arrayContaining([...seen.elements]));
		expect(attributes).toEqual(expect.arrayContaining([...seen.attributes]));
		for (const link of seen.links) expect(link).toMatch(/^(?:https?|mailto): noopener noreferrer nofollow$/);
		expect(requests.filter((url) => !/\/assets\/markdownStream/.test(url))).toEqual([]);
		expect(seen.longestTask).toBeLessThan(freezeMs);
		expect(seen.longestFrame).toBeLessThan(freezeMs);
	});
});
