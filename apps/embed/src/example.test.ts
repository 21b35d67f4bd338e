import { readFile } from "node:fs/promises";
import { expect, test } from "vitest";

const read = (path: string): Promise<string> => readFile(new URL(path, import.meta.url), "utf8");
/** As lines, whatever they are indented by. */
const lines = (text: string): string =>
	text
		.split("\n")
		.map((line) => line.trim())
		.filter((line) => line !== "")
		.join("\n");

test("the README shows the example that is tried in a browser, and nothing else", async () => {
	const parts = (await read("../example.html")).matchAll(/<!-- README begins -->(.*?)<!-- README ends -->/gs);
	const shown = [...parts].map(([, part]) => part).join("\n");
	const readme =
		/## For dapp developers.*?```html\n(.*?)```/s.exec(await read("../../../README.md"))?.[1] ?? "";
	expect(lines(readme)).toBe(lines(shown));
});
