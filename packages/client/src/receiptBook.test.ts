import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { createEnvelopeSigner, createIdentity } from "@tabmesh/dauth";
import type { SignedReceipt } from "@tabmesh/pipeline";
import { createR1fs, openBlockStore, type R1fs } from "@tabmesh/r1fs";
import { encodeCbor, type Receipt, StorageQuotaError, type TabmeshError } from "@tabmesh/wire";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { ReceiptBook, readReceipts } from "./receiptBook.ts";

const [lender, asker] = [await createIdentity(), await createIdentity()];
const [byLender, byAsker] = [createEnvelopeSigner(lender), createEnvelopeSigner(asker)];
let folder: string;
const open: R1fs[] = [];

beforeAll(async () => {
	folder = await mkdtemp(path.join(tmpdir(), "tabmesh-receipts-"));
});
afterEach(async () => {
	for (const files of open.splice(0)) await files.close();
});
afterAll(() => rm(folder, { recursive: true }));

async function filesIn(name: string, budgetBytes = 1e6): Promise<R1fs> {
	const files = createR1fs({ store: await openBlockStore({ folder: path.join(folder, name), budgetBytes }) });
	open.push(files);
	return files;
}

/** As both sides sign it. */
async function signed(stream: number, positions: number, epoch = 20_000): Promise<SignedReceipt> {
	const receipt: Receipt = {
		chainId: 0,
		epoch,
		asker: asker.peer,
		peer: lender.peer,
		stream: new Uint8Array(16).fill(stream),
		model: `bafy${"a".repeat(55)}`,
		span: { from: 0, to: 3, embed: true, head: true },
		numericsClass: "ort1.30/cpu/x64/f32/f32",
		route: new Uint8Array(32),
		generation: 0,
		positions,
		taken: 0,
		chain: new Uint8Array(8),
		outputs: new Uint8Array(32),
	};
	const payload = encodeCbor(receipt);
	return {
		receipt,
		byPeer: await byLender.seal("receipt", payload),
		byAsker: await byAsker.seal("receipt", payload),
	};
}

function bookIn(files: R1fs, notices: TabmeshError[] = []): ReceiptBook {
	return new ReceiptBook({
		peer: lender.peer,
		files: async () => files,
		onNotice: (error) => notices.push(error),
	});
}

const kept = async (files: R1fs) =>
	(await readReceipts(files)).map(({ receipt }) => [receipt.stream[0], receipt.positions, receipt.epoch]);

test("receipts are there after the device was closed, each stream once, each epoch in a file of its own", async () => {
	const first = bookIn(await filesIn("a"));
	first.add(await signed(1, 40));
	first.add(await signed(2, 50));
	first.add(await signed(3, 60, 20_001));
	await first.close();
	await open.splice(0)[0]!.close();

	const files = await filesIn("a");
	const second = bookIn(files);
	second.add(await signed(2, 90));
	second.add(await signed(4, 33));
	await second.close();
	expect((await kept(files)).sort()).toEqual([
		[1, 40, 20_000],
		[2, 90, 20_000],
		[3, 60, 20_001],
		[4, 33, 20_000],
	]);
	expect((await files.list()).map(({ pinned }) => pinned)).toEqual([true, true]);
});

test("a book that is broken or forged is as good as empty, and the next receipt is kept all the same", async () => {
	const files = await filesIn("b");
	const name = `receipts 20000 ${lender.peer.slice(-8)}.cbor`;
	const [mine, other] = [await signed(1, 40), await signed(2, 50)];
	for (const content of [new Uint8Array([1, 2, 3]), encodeCbor([[mine.byPeer, other.byAsker]])]) {
		await files.add(content, { name });
	}
	const book = bookIn(files);
	book.add(mine);
	await book.close();
	expect(await kept(files)).toEqual([[1, 40, 20_000]]);
});

test("a device without room says so once, and goes on", async () => {
	const notices: TabmeshError[] = [];
	const book = bookIn(await filesIn("c", 0), notices);
	book.add(await signed(1, 40));
	await book.close();
	book.add(await signed(2, 40));
	await book.close();
	expect(notices).toEqual([expect.any(StorageQuotaError)]);
});
