import { expect, it } from "vitest";
import { linksUpTo } from "../stage/keptPrefixes.ts";
import { TokenChain } from "../tokenChain.ts";
import { spanOf } from "./modelSizes.ts";
import { RecentRoutes } from "./recentRoutes.ts";

const linksOf = (tokens: readonly number[]) => {
	const chain = new TokenChain();
	for (const token of tokens) chain.push(token);
	return linksUpTo(chain, chain.length);
};
const hopsOf = (peer: string) => [{ peer, span: spanOf(0, 2, 2) }];
const story = Array.from({ length: 100 }, (_, i) => i);

it("finds the newest route of the streams with the longest common beginning", () => {
	const routes = new RecentRoutes();
	routes.note("model", linksOf(story.slice(0, 40)), hopsOf("short"), 0);
	routes.note("model", linksOf(story.slice(0, 90)), hopsOf("long"), 0);
	routes.note("model", linksOf(story.slice(0, 90)), hopsOf("newer"), 0);
	routes.note("model", linksOf([7, ...story]), hopsOf("other text"), 0);
	routes.note("other model", linksOf(story), hopsOf("other model"), 0);
	expect(routes.find("model", linksOf(story), 1000)).toEqual(hopsOf("newer"));
	expect(routes.find("model", linksOf(story.slice(0, 47)), 1000)).toEqual(hopsOf("newer"));
	expect(routes.find("model", linksOf([9, ...story]), 1000)).toBeUndefined();
	expect(routes.find("model", linksOf(story.slice(0, 15)), 1000)).toBeUndefined();
	// The stages have kept nothing for so long.
	expect(routes.find("model", linksOf(story), 3_600_000)).toBeUndefined();
});
