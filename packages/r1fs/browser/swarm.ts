// node packages/r1fs/browser/swarm.ts [MiB]: a file to one tab from three tabs, against bare data channels between the same tabs.
import { createIdentity } from "@tabmesh/dauth";
import { createRelayPeer } from "@tabmesh/transport/relay";
import type { Page } from "playwright-core";
import type { R1fsHarness } from "./harness.page.ts";
import { openBrowser, openPage } from "./openBrowser.ts";
import { servePage } from "./servePage.ts";

declare const harness: R1fsHarness;

const MiB = 1024 * 1024;
const bytes = Number(process.argv[2] ?? 64) * MiB;
const rounds = Number(process.argv[3] ?? 3);

const relay = await createRelayPeer({ identity: await createIdentity(), agent: "relay/1" });
const [served, browser] = await Promise.all([servePage(), openBrowser()]);
// A context each: tabs of one origin would share their store, and have the file already.
const pages: Page[] = [];
for (let i = 0; i < 4; i++) pages.push(await openPage(await browser.newContext(), served.url));
const [asker, ...givers] = pages as [Page, Page, Page, Page];

const ids = await Promise.all(
	pages.map((page) => page.evaluate((relays) => harness.join(relays), [...relay.addresses])),
);
const giverIds = ids.slice(1);
await Promise.all(pages.map((page) => page.evaluate((ids) => harness.open(2 ** 31, ids), giverIds)));
await asker.evaluate((ids) => harness.meet(ids), giverIds);

const names = ["a", "b", "c"];
for (const [i, giver] of givers.entries()) {
	const offer = await asker.evaluate((name) => harness.raw.offer(name), names[i]!);
	const answer = await giver.evaluate((offer) => harness.raw.answer(offer), offer);
	await asker.evaluate(([name, answer]) => harness.raw.accept(name, answer), [names[i]!, answer] as const);
}

const rate = (ms: number): number => Math.round((bytes / 1e6 / (ms / 1000)) * 10) / 10;
const ratios: number[] = [];
for (let round = 1; round <= rounds; round++) {
	const added = await Promise.all(
		givers.map((giver) =>
			giver.evaluate(([bytes, seed]) => harness.add(bytes, seed), [bytes, round] as const),
		),
	);
	const { cid } = added[0]!;
	const one = await asker.evaluate(([bytes]) => harness.raw.receive(["a"], bytes), [bytes] as const);
	const three = await asker.evaluate(([bytes]) => harness.raw.receive(["a", "b", "c"], bytes), [
		bytes,
	] as const);
	const swarm = await asker.evaluate((cid) => harness.get(cid, true), cid);
	if (swarm.bytes !== bytes) throw new Error("The file came cut.");
	await Promise.all(pages.map((page) => page.evaluate((cid) => harness.remove(cid), cid)));
	const parts = giverIds.map((id) => Math.round((swarm.from[id] ?? 0) / MiB));
	ratios.push(one / swarm.ms);
	console.log(
		`round ${round}: one raw channel ${rate(one)} MB/s, three ${rate(three)}, r1fs from three ${rate(swarm.ms)} (${parts.join("+")} MiB), ratio ${(one / swarm.ms).toFixed(2)} of one, ${(three / swarm.ms).toFixed(2)} of three; added at ${rate(added[0]!.ms)}`,
	);
}
ratios.sort((a, b) => a - b);
console.log(JSON.stringify({ swarm_over_raw: Number(ratios[Math.floor(ratios.length / 2)]!.toFixed(2)) }));
await browser.close();
await served.close();
await relay.stop();
process.exit(0);
