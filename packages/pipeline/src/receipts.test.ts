import type { EnvelopeSigner } from "@tabmesh/dauth";
import { decodeCbor, encodeCbor, limits, type Receipt, ReceiptError, receiptSchema } from "@tabmesh/wire";
import { afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { type GenerateInit, generate } from "./ask/generate.ts";
import { openSignedReceipt, type SignedReceipt } from "./receipts/signedReceipt.ts";
import { oneProcess, type TestModel, type TestPeer, TestSwarm, testModel, until } from "./testSwarm.ts";

const prompt = [1, 300, 301, 17, 302];
const maxTokens = 80;
let model: TestModel;
let swarm: TestSwarm;
let asker: TestPeer;
/** What the lenders were told at the end of a stream, by peer. */
let kept: Map<string, SignedReceipt>;

beforeAll(async () => {
	model = await testModel({ layers: 3 });
});
beforeEach(async () => {
	swarm = await TestSwarm.start(model);
	asker = await swarm.peer();
	kept = new Map();
});
afterEach(() => swarm.stop());

type LenderOptions = Parameters<TestSwarm["lender"]>[2];

function lend(from: number, to: number, options: LenderOptions = {}) {
	const onReceipt = (signed: SignedReceipt): void => void kept.set(signed.receipt.peer, signed);
	return swarm.lender(from, to, { onReceipt, ...options });
}

function ask(more: Partial<GenerateInit> = {}) {
	return generate(swarm.ask(asker, prompt, { maxTokens, ...more }));
}

/** A signer whose receipts say something else. */
function lying(change: (receipt: Receipt) => Receipt): (signer: EnvelopeSigner) => EnvelopeSigner {
	return (signer) => ({
		seal(domain, payload) {
			if (domain !== "receipt") return signer.seal(domain, payload);
			return signer.seal(domain, encodeCbor(change(decodeCbor(receiptSchema, payload, limits.receiptBytes))));
		},
	});
}

test("every stage ends with one receipt for all of its work, which both sides signed", async () => {
	const lenders = [await lend(0, 1), await lend(1, 2), await lend(2, 3)];
	const { tokens, receipts } = await ask({ chainId: 0 }).summary;
	await until(() => kept.size === 3);
	for (const [i, { peer }] of lenders.entries()) {
		const signed = kept.get(peer.id)!;
		const opened = await openSignedReceipt(signed);
		expect(opened.receipt).toMatchObject({
			peer: peer.id,
			asker: asker.peer.id,
			model: model.model.id,
			span: { from: i, to: i + 1 },
			// The last token is sampled, not computed.
			positions: prompt.length + tokens.length - 1,
		});
		expect(receipts.find(({ receipt }) => receipt.peer === peer.id)).toEqual(signed);
	}
});

test("what a receipt shows of the outputs is the same whenever they are computed, and other for another text", async () => {
	const last = await lend(0, 3);
	const shown: Uint8Array[] = [];
	for (const promptTokens of [prompt, prompt, [2, 5, 9]]) {
		await ask({ promptTokens, maxTokens: 8 }).summary;
		await until(() => kept.size === 1);
		shown.push(kept.get(last.peer.id)!.receipt.outputs);
		kept.clear();
	}
	expect(shown[1]).toEqual(shown[0]);
	expect(shown[2]).not.toEqual(shown[0]);
});

test("a stage that signs for more than it did is replaced, and the text is the same", async () => {
	await lend(0, 1);
	const liar = await lend(1, 2, {
		signing: lying((receipt) => ({ ...receipt, chain: receipt.chain.map((byte) => byte ^ 1) })),
	});
	await lend(2, 3);
	await lend(1, 2);
	const { tokens, replays, receipts } = await ask({ minStages: 3 }).summary;
	expect(tokens).toEqual(await oneProcess(model, prompt, maxTokens));
	const used = replays.some(({ lost }) => lost.includes(liar.peer.id));
	// Which of the two the route began with is chance; the liar has no receipt in any case.
	expect(receipts.map(({ receipt }) => receipt.peer)).not.toContain(liar.peer.id);
	expect(used || replays.length === 0).toBe(true);
});

test.each<[string, (receipt: Receipt) => Receipt]>([
	["for another asker's stream", (receipt) => ({ ...receipt, stream: new Uint8Array(16) })],
	["for layers that it was not asked for", (receipt) => ({ ...receipt, span: { ...receipt.span, to: 2 } })],
	["for a route that nobody sent", (receipt) => ({ ...receipt, route: new Uint8Array(32) })],
	["for what it took over as for its own", (receipt) => ({ ...receipt, taken: 1 })],
	["for another chain", (receipt) => ({ ...receipt, chainId: 1 })],
	["for another epoch", (receipt) => ({ ...receipt, epoch: receipt.epoch + 2 })],
])("a stage that signs %s is not signed for", async (_, change) => {
	await lend(0, 3, { signing: lying(change) });
	await expect(ask({ patienceMs: 0 }).summary).rejects.toThrow(ReceiptError);
	expect(kept.size).toBe(0);
});

test("an asker who signs for nothing is served no further", async () => {
	const lender = await lend(0, 3, { countersignMs: 20 });
	const silent: EnvelopeSigner = {
		seal: (domain, payload) =>
			domain === "receipt" ? new Promise(() => {}) : asker.signer.seal(domain, payload),
	};
	await expect(ask({ signer: silent, maxTokens: 2000, patienceMs: 0 }).summary).rejects.toThrow(ReceiptError);
	await until(() => lender.server.streams === 0);
});

test("after a failover the lost stage and its spare have a receipt each, for what each of them did", async () => {
	await lend(0, 1);
	const [one, other] = [await lend(1, 3), await lend(1, 3)];
	const answer = ask();
	let lost: typeof one | undefined;
	for await (const { position } of answer) {
		if (position < 50 || lost) continue;
		lost = swarm.lenders.find(({ server }) => server !== swarm.lenders[0]!.server && server.streams > 0)!;
		await lost.peer.stop();
	}
	const { receipts, tokens } = await answer.summary;
	expect(tokens).toEqual(await oneProcess(model, prompt, maxTokens));
	const positions = Object.fromEntries(receipts.map(({ receipt }) => [receipt.peer, receipt.positions]));
	const spare = lost === one ? other : one;
	expect(positions[lost!.peer.id]).toBeGreaterThanOrEqual(32);
	expect(positions[lost!.peer.id]).toBeLessThan(60);
	expect(positions[spare.peer.id]).toBe(prompt.length + maxTokens - 1);
});

test("what was taken over from an earlier answer is signed for once", async () => {
	await lend(0, 3);
	const first = await ask({ maxTokens: 40 }).summary;
	const promptTokens = [...prompt, ...first.tokens, 7, 11];
	const second = await ask({ promptTokens, maxTokens: 40 }).summary;
	const [before, after] = [first.receipts[0]!.receipt, second.receipts[0]!.receipt];
	expect(before).toMatchObject({ taken: 0, positions: prompt.length + 39 });
	expect(after).toMatchObject({ taken: 32, positions: promptTokens.length + 39 });
});

test("a receipt whose sides are of different work, or of other people, is none", async () => {
	await lend(0, 3);
	const { receipts } = await ask({ maxTokens: 40 }).summary;
	const more = await ask({ maxTokens: 50 }).summary;
	const [a, b] = [receipts[0]!, more.receipts[0]!];
	await expect(openSignedReceipt({ byPeer: a.byPeer, byAsker: b.byAsker })).rejects.toThrow(ReceiptError);
	await expect(openSignedReceipt({ byPeer: a.byAsker, byAsker: a.byPeer })).rejects.toThrow(ReceiptError);
	expect((await openSignedReceipt(a)).receipt).toEqual(a.receipt);
});
