import { createIdentity } from "@tabmesh/dauth";
import type { Browser as Chromium, Page as ChromiumPage } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { firefoxPath } from "../../../e2e/setup/ensureFirefox.ts";
import { openBrowser, openPage } from "../../../e2e/setup/openBrowser.ts";
import { openFirefox } from "../../../e2e/setup/openFirefox.ts";
import { type ServedPage, servePage } from "../../../e2e/setup/servePage.ts";
import { createRelayPeer, type RelayPeer } from "../src/relay.ts";
import type { DialsHarness } from "./dials.page.ts";

declare const harness: DialsHarness;

type Firefox = Awaited<ReturnType<typeof openFirefox>>;
type FirefoxPage = Awaited<ReturnType<Firefox["newPage"]>>;

const executablePath = firefoxPath();
/** At once: more than a few keep a small machine too busy for the moments that matter. */
const pairs = 4;
/** Of Chromium, and one of both: of its dials to Firefox every fourth failed once. */
const rounds = 3;

describe.skipIf(executablePath === undefined)("Chromium and Firefox", () => {
	let relay: RelayPeer;
	let served: ServedPage;
	let browsers: [Chromium, Firefox];
	let chromium: ChromiumPage;
	let firefox: FirefoxPage;

	beforeAll(async () => {
		served = await servePage(new URL(".", import.meta.url));
		relay = await createRelayPeer({ identity: await createIdentity(), agent: "relay/1" });
		browsers = await Promise.all([openBrowser(), openFirefox(executablePath!)]);
		chromium = await openPage(browsers[0], served.url);
		firefox = await browsers[1].newPage();
		await firefox.goto(served.url);
		await firefox.waitForFunction(() => "harness" in globalThis);
	});
	afterAll(async () => {
		await Promise.all(browsers?.map((browser) => browser.close()) ?? []);
		await relay?.stop();
		await served?.close();
	});

	/** Dials between new peers in both pages, from one side or from both. */
	async function dials(...from: ("chromium" | "firefox")[]): Promise<number[][]> {
		const start = [relay.addresses, pairs] as const;
		const ours = await chromium.evaluate(([relays, count]) => harness.start(relays, count), start);
		const theirs = await firefox.evaluate((relays, count) => harness.start(relays, count), ...start);
		const there = ours.map((id, i): [string, string] => [id, theirs[i]!]);
		const back = there.map(([id, other]): [string, string] => [other, id]);
		const answers = await Promise.all([
			from.includes("chromium") ? chromium.evaluate((pairs) => harness.dial(pairs), there) : [],
			from.includes("firefox") ? firefox.evaluate((pairs) => harness.dial(pairs), back) : [],
		]);
		await Promise.all([chromium.evaluate(() => harness.stop()), firefox.evaluate(() => harness.stop())]);
		return answers.flat();
	}
	const answered = (count: number) => Array.from({ length: count }, () => [0, 1, 2, 3]);

	test("reach each other, whoever dials and however often", async () => {
		for (let round = 0; round < rounds; round++) {
			expect(await dials("chromium")).toEqual(answered(pairs));
		}
		expect(await dials("chromium", "firefox")).toEqual(answered(2 * pairs));
	});
});
