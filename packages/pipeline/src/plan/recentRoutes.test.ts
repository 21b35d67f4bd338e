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
	const note = (model: string, links: Uint8Array, peer: string) =>
		routes.note({ model, links, hops: hopsOf(peer), decoded: [[40, 50]], at: 0 });
	note("model", linksOf(story.slice(0, 40)), "short");
	note("model", linksOf(story.slice(0, 90)), "long");
	note("model", linksOf(story.slice(0, 90)), "newer");
	note("model", linksOf([7, ...story]), "other text");
	note("other model", linksOf(story), "other model");
	expect(routes.find("model", linksOf(story), 1000)).toMatchObject({
		hops: hopsOf("newer"),
		decoded: [[40, 50]],
	});
	expect(routes.find("model", linksOf(story.slice(0, 47)), 1000)?.hops).toEqual(hopsOf("newer"));
	expect(routes.find("model", linksOf([9, ...story]), 1000)).toBeUndefined();
	expect(routes.find("model", linksOf(story.slice(0, 15)), 1000)).toBeUndefined();
	// The stages have kept nothing for so long.
	expect(routes.find("model", linksOf(story), 3_600_000)).toBeUndefined();
});
