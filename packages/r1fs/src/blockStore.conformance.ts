import { StorageQuotaError } from "@tabmesh/wire";
import { CID } from "multiformats/cid";
import * as raw from "multiformats/codecs/raw";
import { sha256 } from "multiformats/hashes/sha2";
import type { BlockStore, FileRecord } from "./blockStore.ts";
import { blockKey } from "./cid.ts";

/** What a promise is held with: the same in Node and in a page, where no test runner is. */
export interface StorePromise {
	readonly title: string;
	hold(open: OpenStore): Promise<void>;
}

/** Opens a store on the same place every time; the first one of a promise is empty. */
export type OpenStore = (budgetBytes?: number) => Promise<BlockStore>;

const KiB = 1024;
const budget = 100 * KiB;

/** What every block store promises, whatever it stands on. `lasting` ones also outlive their closing. */
export function storePromises({ lasting }: { lasting: boolean }): StorePromise[] {
	return lasting ? [...everywhere, ...whereItLasts] : everywhere;
}

const everywhere: StorePromise[] = [
	{
		title: "gives back what was put, and nothing else",
		async hold(open) {
			const store = await open();
			const [a, b] = [await block(1), await block(2)];
			same(await store.has(a.cid), false);
			await store.put(a.cid, a.bytes);
			await store.put(a.cid, a.bytes);
			same(await store.has(a.cid), true);
			sameBytes(await store.get(a.cid), a.bytes);
			same(await store.get(b.cid), undefined);
			same((await store.usage()).usedBytes, a.bytes.byteLength);
			await store.close();
		},
	},
	{
		title: "keeps a view without the buffer behind it",
		async hold(open) {
			const store = await open();
			const a = await block(3);
			const large = new Uint8Array(1024 * KiB);
			large.set(a.bytes, 512);
			await store.put(a.cid, large.subarray(512, 512 + a.bytes.byteLength));
			const kept = await store.get(a.cid);
			sameBytes(kept, a.bytes);
			same(kept?.buffer.byteLength, a.bytes.byteLength);
			await store.close();
		},
	},
	{
		title: "evicts what was used longest ago, never what is pinned, and stays within its budget",
		async hold(open) {
			const store = await open(budget);
			const pinned = await block(10);
			await store.put(pinned.cid, pinned.bytes);
			same((await store.keep(record("pinned", [pinned], true), keys([pinned]))).length, 0);
			const others: Block[] = [];
			for (let i = 0; i < 9; i++) {
				const one = await block(20 + i);
				others.push(one);
				await store.put(one.cid, one.bytes);
				await later();
			}
			// The oldest of the others is used again, so the second oldest is the next to go.
			await store.get(others[0]!.cid);
			await later();
			const newest = await block(40);
			await store.put(newest.cid, newest.bytes);
			same(await store.has(pinned.cid), true);
			same(await store.has(others[0]!.cid), true);
			same(await store.has(others[1]!.cid), false);
			same(await store.has(newest.cid), true);
			const usage = await store.usage();
			same(usage.usedBytes <= budget, true);
			same(usage.pinnedBytes, pinned.bytes.byteLength);
			await store.close();
		},
	},
	{
		title: "never evicts a file's own blocks for its later ones, and says with numbers that there is no room",
		async hold(open) {
			const store = await open(budget);
			const since = Date.now();
			const first = await block(50);
			await store.put(first.cid, first.bytes, { keepSince: since });
			const refused = await rejection(async () => {
				for (let i = 1; i < 20; i++) {
					const one = await block(50 + i);
					await store.put(one.cid, one.bytes, { keepSince: since });
				}
			});
			same(refused instanceof StorageQuotaError, true);
			const { neededBytes, usedBytes, budgetBytes } = (refused as StorageQuotaError).details;
			same([neededBytes, usedBytes, budgetBytes].join(), [10 * KiB, budget, budget].join());
			same(await store.has(first.cid), true);
			await store.close();
		},
	},
	{
		title: "records only files that are here whole, and forgets those of which a block is evicted",
		async hold(open) {
			const store = await open(budget);
			const [a, b, c] = [await block(70), await block(71), await block(72)];
			await store.put(a.cid, a.bytes);
			await store.put(b.cid, b.bytes);
			same((await store.keep(record("abc", [a, b, c]), keys([a, b, c]))).join(), keys([c]).join());
			same(await store.file(name("abc")), undefined);
			same((await store.keep(record("ab", [a, b]), keys([a, b]))).length, 0);
			same((await store.files()).map(({ cid }) => cid).join(), name("ab"));
			same(await store.setPinned(name("ab"), true), true);
			same((await store.file(name("ab")))?.pinned, true);
			same(await store.setPinned(name("abc"), true), false);
			await store.setPinned(name("ab"), false);
			await store.setBudget(10 * KiB);
			same(await store.file(name("ab")), undefined);
			same((await store.usage()).usedBytes <= 10 * KiB, true);
			await store.close();
		},
	},
	{
		title: "forgets a file and exactly the blocks that no other file has",
		async hold(open) {
			const store = await open();
			const [a, shared, b] = [await block(80), await block(81), await block(82)];
			for (const one of [a, shared, b]) await store.put(one.cid, one.bytes);
			await store.keep(record("a", [a, shared], true), keys([a, shared]));
			await store.keep(record("b", [b, shared], true), keys([b, shared]));
			same(await store.forget(name("a")), a.bytes.byteLength);
			same(await store.has(a.cid), false);
			same(await store.has(shared.cid), true);
			same(await store.forget(name("a")), 0);
			same(await store.forget(name("b")), 2 * a.bytes.byteLength);
			same((await store.usage()).usedBytes, 0);
			await store.close();
		},
	},
	{
		title: "knows what blocks are parts of and who gave them first, and counts what is here",
		async hold(open) {
			const store = await open(budget);
			const [a, b, shared, unsaid] = [await block(400), await block(401), await block(402), await block(403)];
			await store.describe("model", { name: "A model", size: 99 * KiB });
			await store.put(a.cid, a.bytes, { whole: "model", from: "peer" });
			await store.put(a.cid, a.bytes, { whole: "model", from: "another" });
			await store.put(b.cid, b.bytes, { whole: "model", from: "https://web.example/" });
			await store.put(shared.cid, shared.bytes, { whole: "model", from: "peer" });
			await store.get(shared.cid, "other");
			await store.put(unsaid.cid, unsaid.bytes);
			let { parts, looseBytes } = await store.survey();
			same(looseBytes, 10 * KiB);
			same(
				parts
					.map(({ whole }) => whole)
					.sort()
					.join(),
				"model,other",
			);
			const model = parts.find(({ whole }) => whole === "model")!;
			same(model.about?.name, "A model");
			same(model.about?.size, 99 * KiB);
			same(JSON.stringify([model.storedBytes, model.blocks]), JSON.stringify([30 * KiB, 3]));
			same(Object.entries(model.from).sort().join(), `https://web.example/,${10 * KiB},peer,${20 * KiB}`);
			same(parts.find(({ whole }) => whole === "other")!.from.peer, 10 * KiB);
			await store.get(unsaid.cid, "model");
			({ parts, looseBytes } = await store.survey());
			same(looseBytes, 0);
			const now = parts.find(({ whole }) => whole === "model")!;
			same(
				[now.storedBytes, Object.values(now.from).reduce((sum, bytes) => sum + bytes)].join(),
				"40960,30720",
			);
			await store.setBudget(0);
			same((await store.survey()).parts.length, 0);
			await store.close();
		},
	},
	{
		title: "forgets what is kept of something, and exactly the blocks that nothing else has",
		async hold(open) {
			const store = await open();
			const [a, shared, filed] = [await block(410), await block(411), await block(412)];
			for (const { cid, bytes } of [a, shared, filed]) await store.put(cid, bytes, { whole: "one" });
			await store.get(shared.cid, "two");
			await store.keep(record("filed", [filed]), keys([filed]));
			same(await store.forget("one"), 10 * KiB);
			same(await store.has(a.cid), false);
			same(await store.has(shared.cid), true);
			same(await store.has(filed.cid), true);
			same((await store.survey()).parts.map(({ whole }) => whole).join(), "two");
			same(await store.forget("one"), 0);
			same(await store.forget("two"), 10 * KiB);
			same(await store.forget(name("filed")), 10 * KiB);
			same((await store.usage()).usedBytes, 0);
			await store.close();
		},
	},
	{
		title: "drops what belongs to nothing, unless it was just used",
		async hold(open) {
			const store = await open();
			const [old, fresh, part, filed] = [
				await block(420),
				await block(421),
				await block(422),
				await block(423),
			];
			await store.put(old.cid, old.bytes);
			await store.put(part.cid, part.bytes, { whole: "model" });
			await store.put(filed.cid, filed.bytes);
			await store.keep(record("filed", [filed]), keys([filed]));
			await later();
			const before = Date.now();
			await later();
			await store.put(fresh.cid, fresh.bytes);
			same(await store.forgetLoose(before), 10 * KiB);
			same(await store.has(old.cid), false);
			for (const { cid } of [fresh, part, filed]) same(await store.has(cid), true);
			await store.close();
		},
	},
	{
		title: "tells of what came and went, until nobody listens",
		async hold(open) {
			const store = await open();
			const a = await block(430);
			for (const change of [
				() => store.put(a.cid, a.bytes, { whole: "model" }),
				() => store.setBudget(50 * KiB),
				() => store.forget("model"),
			]) {
				const told = Promise.withResolvers<void>();
				const stop = store.watch(told.resolve);
				await change();
				await told.promise;
				stop();
			}
			await store.close();
		},
	},
	{
		title: "counts right when many blocks are written side by side",
		async hold(open) {
			const store = await open(budget);
			const blocks = await Promise.all(Array.from({ length: 30 }, (_, i) => block(100 + i)));
			await Promise.all(blocks.map(({ cid, bytes }) => store.put(cid, bytes).catch(() => {})));
			const here = await Promise.all(blocks.map(({ cid }) => store.has(cid)));
			const { usedBytes } = await store.usage();
			same(usedBytes, here.filter(Boolean).length * 10 * KiB);
			same(usedBytes <= budget && usedBytes > 0, true);
			await store.close();
		},
	},
];

const whereItLasts: StorePromise[] = [
	{
		title: "has after closing what it had before, and the order of use with it",
		async hold(open) {
			const first = await open(budget);
			const [a, b] = [await block(200), await block(201)];
			await first.put(a.cid, a.bytes);
			await later();
			await first.put(b.cid, b.bytes);
			await first.keep(record("b", [b], true), keys([b]));
			await first.close();
			const second = await open(budget);
			sameBytes(await second.get(a.cid), a.bytes);
			same((await second.file(name("b")))?.pinned, true);
			same((await second.usage()).usedBytes, 20 * KiB);
			await second.setBudget(10 * KiB);
			same(await second.has(a.cid), false);
			same(await second.has(b.cid), true);
			await second.close();
		},
	},
	{
		title: "knows after closing who gave what, and what it was called",
		async hold(open) {
			const first = await open(budget);
			const [a, b] = [await block(210), await block(211)];
			await first.describe("model", { name: "A model", size: 99 * KiB });
			await first.put(a.cid, a.bytes, { whole: "model", from: "peer" });
			await first.put(b.cid, b.bytes, { from: "https://web.example/" });
			await first.get(b.cid, "model");
			await first.close();
			const second = await open(budget);
			const { parts, looseBytes } = await second.survey();
			same(looseBytes, 0);
			same(parts.length, 1);
			same(parts[0]!.about?.name, "A model");
			same(parts[0]!.storedBytes, 20 * KiB);
			same(parts[0]!.from.peer, 10 * KiB);
			same(await second.forget("model"), 20 * KiB);
			await second.close();
			const third = await open(budget);
			same((await third.survey()).parts.length, 0);
			await third.close();
		},
	},
	{
		title: "is one store for two that have it open at once",
		async hold(open) {
			const [one, two] = [await open(budget), await open(budget)];
			const blocks = await Promise.all(Array.from({ length: 40 }, (_, i) => block(300 + i)));
			const kept = await block(299);
			await one.put(kept.cid, kept.bytes);
			await one.keep(record("kept", [kept], true), keys([kept]));
			await Promise.all(
				blocks.map(({ cid, bytes }, i) => (i % 2 === 0 ? one : two).put(cid, bytes).catch(() => {})),
			);
			same(await two.has(kept.cid), true);
			for (const { cid, bytes } of blocks) {
				const [here, there] = [await one.get(cid), await two.get(cid)];
				same(here !== undefined, there !== undefined);
				if (here) sameBytes(here, bytes);
			}
			same((await two.files()).map(({ cid }) => cid).join(), name("kept"));
			await Promise.all([one.close(), two.close()]);
		},
	},
];

interface Block {
	cid: CID;
	bytes: Uint8Array<ArrayBuffer>;
}

async function block(seed: number): Promise<Block> {
	const bytes = new Uint8Array(10 * KiB);
	new Uint32Array(bytes.buffer).fill(seed);
	return { cid: CID.createV1(raw.code, await sha256.digest(bytes)), bytes };
}

function keys(blocks: readonly Block[]): string[] {
	return blocks.map(({ cid }) => blockKey(cid));
}

function name(file: string): string {
	// Records are found by any text of a CID's form.
	return `b${file.padEnd(58, "a")}`;
}

function record(file: string, blocks: readonly Block[], pinned = false): FileRecord {
	const storedBytes = blocks.reduce((sum, { bytes }) => sum + bytes.byteLength, 0);
	return {
		cid: name(file),
		size: storedBytes,
		storedBytes,
		blocks: blocks.length,
		pinned,
		addedAt: Date.now(),
		encrypted: false,
		from: {},
	};
}

/** Times of use are told apart by milliseconds. */
function later(): Promise<void> {
	return new Promise((resolve) => setTimeout(resolve, 3));
}

function same(actual: unknown, expected: unknown): void {
	if (actual !== expected) throw new Error(`expected ${String(expected)}, got ${String(actual)}`);
}

function sameBytes(actual: Uint8Array | undefined, expected: Uint8Array): void {
	same(actual?.byteLength, expected.byteLength);
	same(actual?.join(), expected.join());
}

async function rejection(work: () => Promise<unknown>): Promise<unknown> {
	try {
		await work();
	} catch (error) {
		return error;
	}
	throw new Error("nothing was refused");
}
