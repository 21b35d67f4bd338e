// node packages/r1fs/browser/large.ts [MiB]: a large file added in one tab and fetched by another; what their memory takes above idle.
import { readdirSync, readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createIdentity } from "@tabmesh/dauth";
import { createRelayPeer } from "@tabmesh/transport/relay";
import type { Page } from "playwright-core";
import type { R1fsHarness } from "./harness.page.ts";
import { openPage, openProfile } from "./openBrowser.ts";
import { servePage } from "./servePage.ts";

declare const harness: R1fsHarness;

const MiB = 1024 * 1024;
const bytes = Number(process.argv[2] ?? 2048) * MiB;

const relay = await createRelayPeer({ identity: await createIdentity(), agent: "relay/1" });
const served = await servePage();
const folders = await Promise.all([0, 1].map(() => mkdtemp(join(tmpdir(), "tabmesh-r1fs-profile-"))));
const profiles = await Promise.all(folders.map(openProfile));
const pages = await Promise.all(profiles.map((profile) => openPage(profile, served.url)));
const [giver, asker] = pages as [Page, Page];
const ids = await Promise.all(
	pages.map((page) => page.evaluate((relays) => harness.join(relays), [...relay.addresses])),
);
await Promise.all(pages.map((page) => page.evaluate((ids) => harness.open(2 ** 33, ids), [ids[0]!])));
await asker.evaluate((ids) => harness.meet(ids), [ids[0]!]);

/** Resident memory of a page's process in MiB, found by what grows when the page is asked to hold something. */
async function processOf(page: Page): Promise<number> {
	const session = await page.context().newCDPSession(page);
	await session.send("Runtime.evaluate", {
		expression: "globalThis.ballast = new Uint8Array(256 * 2 ** 20).fill(1); 0",
	});
	const heavy = renderers().sort((a, b) => residentMiB(b) - residentMiB(a))[0]!;
	const loaded = residentMiB(heavy);
	await session.send("Runtime.evaluate", { expression: "globalThis.ballast = undefined; gc(); 0" });
	// Idle is measured from here on: the ballast must have gone back to the system.
	while (residentMiB(heavy) > loaded - 240) await new Promise((done) => setTimeout(done, 100));
	return heavy;
}

function renderers(): number[] {
	return readdirSync("/proc")
		.filter((name) => /^\d+$/.test(name))
		.filter((pid) => commandOf(pid).includes("--type=renderer"))
		.map(Number);
}

function commandOf(pid: string): string {
	try {
		return readFileSync(`/proc/${pid}/cmdline`, "utf8");
	} catch {
		return "";
	}
}

function residentMiB(pid: number): number {
	try {
		return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? 0) / 1024;
	} catch {
		return 0;
	}
}

/** Runs `work` and says how far the page's process grew above where it was. */
async function peak<T>(pid: number, work: () => Promise<T>): Promise<{ result: T; aboveIdleMiB: number }> {
	const idle = residentMiB(pid);
	let most = idle;
	const timer = setInterval(() => {
		most = Math.max(most, residentMiB(pid));
	}, 100);
	const result = await work();
	clearInterval(timer);
	return { result, aboveIdleMiB: Math.round(most - idle) };
}

const rate = (ms: number): number => Math.round((bytes / 1e6 / (ms / 1000)) * 10) / 10;
const [giverProcess, askerProcess] = [await processOf(giver), await processOf(asker)];
const added = await peak(giverProcess, () => giver.evaluate((bytes) => harness.addStream(bytes), bytes));
console.log(
	`added ${bytes / MiB} MiB at ${rate(added.result.ms)} MB/s, ${added.aboveIdleMiB} MiB above idle`,
);
const cid = added.result.cid;
const fetched = await peak(askerProcess, () => asker.evaluate((cid) => harness.get(cid), cid));
if (fetched.result.bytes !== bytes) throw new Error("The file came cut.");
console.log(`fetched at ${rate(fetched.result.ms)} MB/s, ${fetched.aboveIdleMiB} MiB above idle`);
console.log(JSON.stringify({ added_mib: added.aboveIdleMiB, fetched_mib: fetched.aboveIdleMiB, cid }));
await Promise.all(profiles.map((profile) => profile.close()));
await Promise.all(folders.map((folder) => rm(folder, { recursive: true })));
await served.close();
await relay.stop();
process.exit(0);
