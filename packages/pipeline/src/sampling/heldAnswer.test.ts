import { InvalidParameterError } from "@tabmesh/wire";
import { Ajv2020 } from "ajv/dist/2020.js";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type GenerateInit, generate } from "../ask/generate.ts";
import { type TestModel, type TestPeer, TestSwarm, testModel, until } from "../testSwarm.ts";

const schema = {
	type: "object",
	properties: {
		name: { type: "string", maxLength: 24 },
		size: { type: "number", minimum: -40, maximum: 80 },
		tags: { type: "array", items: { enum: ["one", "two"] }, minItems: 3, maxItems: 12 },
		note: { type: "string", minLength: 20, maxLength: 60 },
	},
	required: ["name", "size", "tags", "note"],
	additionalProperties: false,
};
const prompt = [1, 300, 301, 302];
const eos = 2;

describe("an answer that is held to a JSON schema", () => {
	let model: TestModel;
	let swarm: TestSwarm;
	let asker: TestPeer;
	const fits = new Ajv2020().compile(schema);

	beforeAll(async () => {
		model = await testModel({ layers: 4, context: 512 });
		swarm = await TestSwarm.start(model);
		asker = await swarm.peer();
		await swarm.lender(0, 2);
		await swarm.lender(2, 4);
	}, 60_000);
	afterAll(() => swarm?.stop());

	const ask = (more: Partial<GenerateInit> = {}): GenerateInit =>
		swarm.ask(asker, prompt, {
			constraint: { schema: JSON.stringify(schema) },
			stopTokens: [eos],
			maxTokens: 200,
			...more,
		});

	/** The bytes and the letters of the seeded vocabulary, as its tokenizer puts them together. */
	const textOf = async (tokens: readonly number[]): Promise<string> => {
		const { createTokenizer } = await import("@tabmesh/model");
		const entry = model.model.manifest.tensors.find(({ name }) => name === "tokenizer.json")!;
		const tokenizer = createTokenizer(await model.source.read(model.model, entry), model.model.manifest);
		const decoder = tokenizer.streamingDecoder(prompt);
		return tokens.map((token) => decoder.push(token)).join("") + decoder.flush();
	};

	it("is JSON that fits it, greedy or drawn, with drafts or without, and the same both ways", async () => {
		for (const sampling of [
			{},
			{ temperature: 1, seed: 4 },
			{ temperature: 1.5, seed: 9, repetitionPenalty: 1.3 },
		]) {
			const drafted = await generate(ask({ sampling })).summary;
			const text = await textOf(drafted.tokens.slice(0, -1));
			expect(drafted.finishReason).toBe("stop");
			expect(fits(JSON.parse(text)), text).toBe(true);
			const plain = await generate(ask({ sampling, speculation: false })).summary;
			expect(plain.tokens).toEqual(drafted.tokens);
		}
	});

	it("comes to its end in time where few tokens are left", async () => {
		const tokens = (await generate(ask({ maxTokens: 110, sampling: { temperature: 1, seed: 1 } })).summary)
			.tokens;
		expect(fits(JSON.parse(await textOf(tokens.slice(0, -1))))).toBe(true);
	});

	it("goes on as it would have when the last stage is lost in the middle", async () => {
		const sampling = { temperature: 1, seed: 12 };
		const undisturbed = (await generate(ask({ sampling })).summary).tokens;
		const spare = await swarm.lender(2, 4);
		const generation = generate(ask({ sampling, speculation: false }));
		let count = 0;
		let lost: string | undefined;
		for await (const _ of generation) {
			if (++count !== 30) continue;
			const last = swarm.lenders.find(
				({ server, member }) => server.streams > 0 && member.lends!.spans[0]!.from === 2,
			)!;
			lost = last.peer.id;
			swarm.lenders.splice(swarm.lenders.indexOf(last), 1);
			await last.peer.stop();
			void last.server.close().then(() => last.engine.close());
		}
		const { replays, tokens } = await generation.summary;
		expect(replays).toMatchObject([{ lost: [lost] }]);
		expect(tokens).toEqual(undisturbed);
		expect(spare.server.tokensServed).toBeGreaterThan(0);
	}, 30_000);

	it("is refused by the stage where its schema is not offered, and costs nobody else anything", async () => {
		for (const wrong of [
			"{",
			'{"type":"string","pattern":"a"}',
			'{"$ref":"#"}',
			`{"const":"${"a".repeat(20_000)}"}`,
		]) {
			const asked = generate(ask({ constraint: { schema: wrong } }));
			await expect(asked.summary, wrong.slice(0, 40)).rejects.toThrow(InvalidParameterError);
		}
		await expect(generate(ask({ stopTokens: [] })).summary).rejects.toThrow(InvalidParameterError);
		await until(() => swarm.lenders.every(({ server }) => server.streams === 0));
		expect((await generate(ask()).summary).finishReason).toBe("stop");
	});
});
