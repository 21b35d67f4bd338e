import { launch } from "chrome-launcher";
import lighthouse, { desktopConfig } from "lighthouse";
import { chromiumFlags } from "../e2e/setup/chromiumFlags.ts";
import { chromiumPath } from "../e2e/setup/ensureChromium.ts";
import { startNetwork } from "./src/network.ts";
import { median, note, print } from "./src/report.ts";

// What Lighthouse says of the pages that people meet first, on the slow phone that it imagines and on a desktop, with a
// real network behind them. Nobody has pressed anything.
const rounds = 3;
const pages = ["lend", "chat"];
const categories = ["performance", "accessibility", "best-practices"] as const;

const network = await startNetwork("--model", "stories15m");
const scores = new Map<string, number[]>();
const lost = new Map<string, number>();
for (let round = 0; round < rounds; round++) {
	for (const page of pages) {
		for (const [device, config] of [
			["phone", undefined],
			["desktop", desktopConfig],
		] as const) {
			// A browser of its own: a first visit, with nothing kept.
			const chrome = await launch({
				chromePath: chromiumPath(),
				chromeFlags: [...chromiumFlags, "--headless=new"],
				logLevel: "silent",
			});
			const result = await lighthouse(
				`${network.url}/${page}`,
				{ port: chrome.port, logLevel: "error", onlyCategories: [...categories] },
				config,
			);
			chrome.kill();
			for (const category of categories) {
				const key = `${page}_${device}_${category.replace("-", "_")}`;
				scores.set(key, [...(scores.get(key) ?? []), (result!.lhr.categories[category]!.score ?? 0) * 100]);
			}
			for (const { id, score, scoreDisplayMode } of Object.values(result!.lhr.audits)) {
				if (score === null || score >= 0.9 || scoreDisplayMode === "informative") continue;
				lost.set(`${page} ${device} ${id}`, score);
			}
		}
	}
	note(`round ${round + 1} of ${rounds}`);
}
await network.stop();

const figures = Object.fromEntries([...scores].map(([key, values]) => [key, median(values)]));
print(
	{
		bench: "lighthouse",
		figures,
		details: { rounds: Object.fromEntries(scores), lost: Object.fromEntries(lost) },
	},
	Object.fromEntries(Object.keys(figures).map((key) => [key, ">= 95"])),
);
