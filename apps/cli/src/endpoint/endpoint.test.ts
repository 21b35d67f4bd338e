import { request } from "node:http";
import type { GenerateOptions, Tabmesh } from "@tabmesh/client";
import type {
	ChatCompletion,
	ChatCompletionChunk,
	Completion,
	EmbeddingList,
	Model,
} from "@tabmesh/client/openai";
import { Ajv2020 } from "ajv/dist/2020.js";
import OpenAI from "openai";
import { afterAll, beforeAll, expect, expectTypeOf, test } from "vitest";
import { TestNetwork } from "./testNetwork.ts";

let network: TestNetwork;
let asker: Tabmesh;
let openai: OpenAI;
let url: string;

beforeAll(async () => {
	network = await TestNetwork.start();
	await network.lend("chat");
	await network.lend("story");
	asker = await network.join();
	while (!asker.models.every(({ coverage }) => coverage.complete))
		await new Promise((resolve) => setTimeout(resolve, 5));
	({ url } = await network.serve(asker));
	openai = clientOf(url);
});
afterAll(() => network.stop());

function clientOf(url: string, apiKey = "none is needed"): OpenAI {
	return new OpenAI({ baseURL: `${url}/v1`, apiKey, maxRetries: 0 });
}

const messages = [{ role: "user" as const, content: "hello" }];

test("the types of the client's answers are those of OpenAI's", () => {
	expectTypeOf<ChatCompletion>().toExtend<OpenAI.ChatCompletion>();
	expectTypeOf<ChatCompletionChunk>().toExtend<OpenAI.ChatCompletionChunk>();
	expectTypeOf<Completion>().toExtend<OpenAI.Completion>();
	expectTypeOf<EmbeddingList>().toExtend<OpenAI.CreateEmbeddingResponse>();
	expectTypeOf<Model>().toExtend<OpenAI.Model>();
});

test("OpenAI's client lists the models of the network", async () => {
	const ids: string[] = [];
	for await (const { id, object } of openai.models.list()) ids.push(`${object} ${id}`);
	expect(ids).toEqual(["model chat", "model story"]);
	expect(await openai.models.retrieve("story")).toEqual({
		id: "story",
		object: "model",
		created: 0,
		owned_by: "tabmesh",
	});
});

test("a chat comes whole and streamed, the same text with the same seed, and says what it cost", async () => {
	const asked = { model: "chat", messages, max_tokens: 12, temperature: 1, seed: 5 };
	const whole = await openai.chat.completions.create(asked);
	expect(whole).toMatchObject({
		object: "chat.completion",
		model: "chat",
		choices: [{ index: 0, message: { role: "assistant", refusal: null }, logprobs: null }],
	});
	const stream = await openai.chat.completions.create({
		...asked,
		stream: true,
		stream_options: { include_usage: true },
	});
	let text = "";
	let finish: string | null | undefined;
	const usages: unknown[] = [];
	for await (const { choices, usage } of stream) {
		text += choices[0]?.delta.content ?? "";
		finish ??= choices[0]?.finish_reason;
		usages.push(usage);
	}
	expect(text).toBe(whole.choices[0]!.message.content);
	expect(finish).toBe(whole.choices[0]!.finish_reason);
	expect(usages.pop()).toEqual(whole.usage);
	expect(new Set(usages)).toEqual(new Set([null]));
	expect(whole.usage!.total_tokens).toBe(whole.usage!.prompt_tokens + whole.usage!.completion_tokens);
});

test("a text is continued as the model would alone, up to its length or a stop string", async () => {
	const asked = { model: "story", prompt: "hello", max_tokens: 24, temperature: 0 };
	const { text: alone } = await asker.generate({ ...asked, maxTokens: 24 }).summary;
	const whole = await openai.completions.create(asked);
	expect(whole).toMatchObject({
		object: "text_completion",
		choices: [{ index: 0, text: alone, finish_reason: "length" }],
		usage: { completion_tokens: 24 },
	});
	const stop = alone.slice(8, 12);
	const cut = await openai.completions.create({ ...asked, prompt: ["hello"], stop });
	expect(cut.choices[0]).toMatchObject({ text: alone.slice(0, alone.indexOf(stop)), finish_reason: "stop" });
	let text = "";
	const counted = async () => {
		const metrics = await (await fetch(`${url}/metrics`)).text();
		return Number(/tokens_total\{kind="completion"\} (\d+)/.exec(metrics)?.[1]);
	};
	const before = await counted();
	for await (const piece of await openai.completions.create({ ...asked, stream: true })) {
		text += piece.choices[0]!.text;
		expect(piece).not.toHaveProperty("usage");
	}
	expect(text).toBe(alone);
	expect(await counted()).toBe(before + 24);
});

test("how likely each token was is told in both shapes, whole as streamed, in bytes that make the text", async () => {
	const asked = { model: "chat", messages, max_tokens: 12, temperature: 1, seed: 5 };
	const silent = await openai.chat.completions.create(asked);
	const told = { ...asked, logprobs: true, top_logprobs: 3 };
	const whole = await openai.chat.completions.create(told);
	const { message, logprobs } = whole.choices[0]!;
	expect(message).toEqual(silent.choices[0]!.message);
	const content = logprobs!.content!;
	expect(content).toHaveLength(whole.usage!.completion_tokens);
	const bytes = Uint8Array.from(content.flatMap((each) => each.bytes ?? []));
	// The model writes a space before its first word, which belongs to no text.
	expect(new TextDecoder().decode(bytes).trimStart()).toBe(message.content!.trimStart());
	for (const { token, logprob, top_logprobs: top } of content) {
		expect(logprob).toBeLessThanOrEqual(0);
		expect(top.map((each) => each.logprob)).toEqual(
			top.map((each) => each.logprob).toSorted((a, b) => b - a),
		);
		expect(top).toHaveLength(3);
		// Several tokens may be written alike: half characters.
		const isThere = top.some((each) => each.token === token && each.logprob === logprob);
		expect(isThere || logprob <= top[2]!.logprob).toBe(true);
	}
	const streamed: unknown[] = [];
	for await (const { choices } of await openai.chat.completions.create({ ...told, stream: true }))
		streamed.push(...(choices[0]?.logprobs?.content ?? []));
	expect(streamed).toEqual(content);

	const text = { model: "story", prompt: "hello", max_tokens: 10, temperature: 0, logprobs: 2 };
	const completion = (await openai.completions.create(text)).choices[0]!;
	const { text_offset, token_logprobs, tokens, top_logprobs } = completion.logprobs!;
	expect([text_offset, token_logprobs, tokens, top_logprobs].map((each) => each!.length)).toEqual([
		10, 10, 10, 10,
	]);
	expect(text_offset![0]).toBe(0);
	// Greedy: each was the likeliest.
	for (const [i, logprob] of token_logprobs!.entries())
		expect(Math.max(...Object.values(top_logprobs![i]!))).toBe(logprob);
	// What a stop string cut off is not told.
	const stop = completion.text.slice(-4, -2);
	const cut = (await openai.completions.create({ ...text, stop })).choices[0]!;
	expect(cut.logprobs!.text_offset!.every((at) => at < cut.text.length)).toBe(true);
	expect(cut.logprobs!.tokens).toEqual(tokens!.slice(0, cut.logprobs!.tokens!.length));
});

test("several answers and several prompts come as their own choices, and the prompt is counted once", async () => {
	const asked = { model: "chat", messages, max_tokens: 6, temperature: 1 };
	const alone = async (seed: number) =>
		(await openai.chat.completions.create({ ...asked, seed })).choices[0]!;
	const three = await openai.chat.completions.create({ ...asked, seed: 5, n: 3 });
	expect(three.choices.map(({ index }) => index)).toEqual([0, 1, 2]);
	const each = [await alone(5), await alone(6), await alone(7)];
	expect(three.choices.map(({ message }) => message)).toEqual(each.map(({ message }) => message));
	const once = await openai.chat.completions.create({ ...asked, seed: 5 });
	expect(three.usage!.prompt_tokens).toBe(once.usage!.prompt_tokens);
	const texts = ["", "", ""];
	const stream = await openai.chat.completions.create({ ...asked, seed: 5, n: 3, stream: true });
	for await (const { choices } of stream)
		for (const { index, delta } of choices) texts[index] += delta.content ?? "";
	expect(texts).toEqual(each.map(({ message }) => message.content));

	const prompts = { model: "story", max_tokens: 4, temperature: 0 };
	const two = await openai.completions.create({ ...prompts, prompt: ["hello", "once"], n: 2, best_of: 2 });
	const [hello, word] = await Promise.all(
		["hello", "once"].map((prompt) => openai.completions.create({ ...prompts, prompt })),
	);
	const written = [hello, hello, word, word].map((one) => one!.choices[0]!.text);
	expect(two.choices.map(({ text }) => text)).toEqual(written);
});

test("penalties and biases change what is drawn, exactly as they say", async () => {
	const asked = { model: "story", prompt: "hello", max_tokens: 8, temperature: 0, logprobs: 20 };
	const plain = (await openai.completions.create(asked)).choices[0]!;
	const tokens = (await asker.generate({ ...asked, maxTokens: 8, temperature: 0 }).summary).tokens;
	const banned = await openai.completions.create({ ...asked, logit_bias: { [tokens[0]!]: -100 } });
	// The first choice is out of reach, so the second comes; what the model itself held likely is told as ever.
	const [first] = plain.logprobs!.top_logprobs!;
	const ranked = Object.entries(first!).sort(([, a], [, b]) => b - a);
	expect(banned.choices[0]!.logprobs!.tokens![0]).toBe(ranked[1]![0]);
	expect(banned.choices[0]!.logprobs!.top_logprobs![0]).toEqual(first);
	const forced = await openai.completions.create({ ...asked, logit_bias: { 300: 100 }, max_tokens: 5 });
	expect(new Set(forced.choices[0]!.logprobs!.tokens).size).toBe(1);
	const tired = {
		...asked,
		logit_bias: { 300: 30 },
		presence_penalty: 2,
		frequency_penalty: 2,
		max_tokens: 40,
	};
	const several = (await openai.completions.create(tired)).choices[0]!.logprobs!.tokens!;
	expect(new Set(several).size).toBeGreaterThan(1);
	expect(several.slice(0, 5)).toEqual(forced.choices[0]!.logprobs!.tokens);
});

test("texts and tokens become vectors of length 1, the same in both encodings, and say what they cost", async () => {
	const { tokens } = await asker.embed({ model: "story", text: "hello there" });
	// The client asks for base64 and decodes it.
	const texts = await openai.embeddings.create({
		model: "story",
		input: ["hello there", "once", "hello there"],
	});
	expect(texts).toMatchObject({ object: "list", model: "story" });
	expect(texts.data.map(({ index, object }) => [index, object])).toEqual(
		[0, 1, 2].map((i) => [i, "embedding"]),
	);
	const [hello, once, again] = texts.data.map(({ embedding }) => embedding);
	const dot = (a: number[], b: number[]) => a.reduce((sum, value, i) => sum + value * b[i]!, 0);
	expect(dot(hello!, hello!)).toBeCloseTo(1, 5);
	expect(dot(hello!, again!)).toBeCloseTo(1, 5);
	expect(dot(hello!, once!)).toBeLessThan(0.999);
	const { data, usage } = await openai.embeddings.create({
		model: "story",
		input: [[...tokens]],
		encoding_format: "float",
		dimensions: hello!.length,
	});
	expect(dot(data[0]!.embedding, hello!)).toBeCloseTo(1, 5);
	expect(usage).toEqual({ prompt_tokens: tokens.length, total_tokens: tokens.length });
	const leaving = new AbortController();
	const many = openai.embeddings.create(
		{ model: "story", input: Array.from({ length: 200 }, (_, i) => `text ${i}`) },
		{ signal: leaving.signal },
	);
	await expect.poll(() => network.streams, { timeout: 5000 }).toBeGreaterThan(0);
	leaving.abort();
	await expect(many).rejects.toBeInstanceOf(OpenAI.APIUserAbortError);
	await expect.poll(() => network.streams, { timeout: 5000 }).toBe(0);
});

test("what lenders keep of one key's answers begins no other key's", async () => {
	const prompt = "a long beginning of a text ".repeat(4);
	const taken = async (apart: string) => {
		const asked = { model: "story", prompt, maxTokens: 2, temperature: 0, apart };
		const { receipts, tokens } = await asker.generate(asked).summary;
		await expect.poll(() => network.streams, { timeout: 5000 }).toBe(0);
		return { tokens, taken: Math.max(...receipts.map(({ receipt }) => receipt.taken)) };
	};
	const first = await taken("one");
	expect(first.taken).toBe(0);
	expect(await taken("other")).toEqual(first);
	expect((await taken("one")).taken).toBeGreaterThan(32);
	const heard: (string | undefined)[] = [];
	const mesh = new Proxy(asker, {
		get(target, name) {
			const value = Reflect.get(target, name, target);
			if (name !== "generate") return typeof value === "function" ? value.bind(target) : value;
			return (options: GenerateOptions) => {
				heard.push(options.apart);
				return target.generate(options);
			};
		},
	});
	const apiKeys = ["the-first-key-of-all", "another-key-of-others"];
	const { url } = await network.serve(mesh, { apiKeys });
	for (const key of [...apiKeys, apiKeys[0]!])
		await clientOf(url, key).completions.create({ model: "story", prompt: "hello", max_tokens: 1 });
	expect(heard[0]).toBeDefined();
	expect(heard[1]).not.toBe(heard[0]);
	expect(heard[2]).toBe(heard[0]);
});

test("what is not offered or wrong is refused as OpenAI refuses it, with the field", async () => {
	const chat = (more: object) => () =>
		openai.chat.completions.create({ model: "chat", messages, max_tokens: 2, ...more });
	const embedding = (more: object) => () =>
		openai.embeddings.create({ model: "chat", input: "a", ...more } as OpenAI.EmbeddingCreateParams);
	for (const [ask, status, code, param] of [
		[chat({ n: 17 }), 400, "invalid_value", "n"],
		[chat({ temperature: 3 }), 400, "invalid_value", "temperature"],
		[chat({ presence_penalty: 3 }), 400, "invalid_value", "presence_penalty"],
		[chat({ logit_bias: { hello: 100 } }), 400, "invalid_value", "logit_bias.hello"],
		[chat({ logit_bias: { 99999: 100 } }), 400, "invalid_value", null],
		[chat({ logprobs: true, top_logprobs: 21 }), 400, "invalid_value", "top_logprobs"],
		[chat({ top_logprobs: 2 }), 400, "invalid_value", "top_logprobs"],
		[chat({ modalities: ["audio"] }), 400, "invalid_value", "modalities"],
		[embedding({ input: "" }), 400, "invalid_value", "input"],
		[embedding({ input: [] }), 400, "invalid_value", "input"],
		[embedding({ input: "a", dimensions: 7 }), 400, "invalid_value", "dimensions"],
		[embedding({ input: "a", encoding_format: "int8" }), 400, "invalid_value", "encoding_format"],
		[embedding({ input: "a", model: "gpt-9" }), 404, "model_not_found", "model"],
		[embedding({ input: [1, 99_999] }), 400, "invalid_value", null],
		[embedding({ input: "long ".repeat(4000) }), 400, "context_length_exceeded", null],
		[chat({ messages: [] }), 400, "invalid_value", "messages"],
		[chat({ messages: [{ role: "robot", content: "" }] }), 400, "invalid_value", "messages.0.role"],
		[
			chat({ messages: [{ role: "user", content: [{ type: "image_url", image_url: { url: "" } }] }] }),
			400,
			"invalid_value",
			"messages.0.content",
		],
		[
			chat({ messages: [{ role: "user", content: "long ".repeat(4000) }] }),
			400,
			"context_length_exceeded",
			null,
		],
		[chat({ model: "gpt-9" }), 404, "model_not_found", "model"],
		[chat({ model: "story" }), 400, "invalid_value", null],
		[
			() => openai.completions.create({ model: "story", prompt: ["a", "b"], n: 9 }),
			400,
			"invalid_value",
			"n",
		],
		[
			() => openai.completions.create({ model: "story", prompt: "a", best_of: 3 }),
			400,
			"invalid_value",
			"best_of",
		],
		[() => openai.completions.create({ model: "story", prompt: [1, 99_999] }), 400, "invalid_value", null],
		[() => openai.models.retrieve("gpt-9"), 404, "model_not_found", "model"],
		[() => openai.images.generate({ prompt: "a" }), 404, "unknown_url", null],
	] as const) {
		const error: unknown = await ask().then(
			() => undefined,
			(error) => error,
		);
		expect(error, `${status} ${code} ${param}`).toBeInstanceOf(OpenAI.APIError);
		const { status: got, code: said, param: field, message } = error as InstanceType<typeof OpenAI.APIError>;
		expect([got, said, field ?? null, message]).toEqual([
			status,
			code,
			param,
			expect.stringMatching(/\w+.*\./),
		]);
	}
});

test("bodies that are too large, no JSON, or of another type are refused", async () => {
	const post = async (body: string, type = "application/json") => {
		const response = await fetch(`${url}/v1/completions`, {
			method: "POST",
			body,
			headers: { "content-type": type },
		});
		return [response.status, ((await response.json()) as { error: { code: string } }).error.code];
	};
	expect(await post(JSON.stringify({ prompt: "a".repeat(5 * 1024 * 1024) }))).toEqual([
		413,
		"request_too_large",
	]);
	expect(await post("{")).toEqual([400, "invalid_json"]);
	expect(await post("[]")).toEqual([400, "invalid_value"]);
	expect(await post('{"model":"story","prompt":"a"}', "text/plain")).toEqual([415, "unsupported_media_type"]);
});

test("who goes in the middle of an answer frees every stage, streamed or not", async () => {
	const asked = { model: "chat", messages, max_tokens: 1900, temperature: 0 };
	const stream = await openai.chat.completions.create({ ...asked, stream: true });
	for await (const { choices } of stream) {
		if (choices[0]?.delta.content) break;
	}
	stream.controller.abort();
	await expect.poll(() => network.streams, { timeout: 5000 }).toBe(0);

	const leaving = new AbortController();
	const whole = openai.chat.completions.create(asked, { signal: leaving.signal });
	await expect.poll(() => network.streams, { timeout: 5000 }).toBe(2);
	leaving.abort();
	await expect(whole).rejects.toBeInstanceOf(OpenAI.APIUserAbortError);
	await expect.poll(() => network.streams, { timeout: 5000 }).toBe(0);
	// Neither came to its end.
	const metrics = await (await fetch(`${url}/metrics`)).text();
	expect(metrics).toMatch(/^tabmesh_serve_answers 0$/m);
	expect(Number(/tokens_total\{kind="completion"\} (\d+)/.exec(metrics)?.[1])).toBeLessThan(1900);
});

test("keys are asked for where there are any, each may ask so often, and is told when again", async () => {
	const apiKeys = ["the-first-key-of-all", "another-key-of-others"];
	const { url } = await network.serve(asker, { apiKeys, requestsPerMinute: 2 });
	const [first, second] = apiKeys.map((key) => clientOf(url, key)) as [OpenAI, OpenAI];
	await expect(clientOf(url).models.list()).rejects.toMatchObject({ status: 401, code: "invalid_api_key" });
	expect((await fetch(`${url}/v1/models`)).status).toBe(401);
	await first.models.list();
	await first.models.list();
	const refused = await first.models.list().catch((error) => error);
	expect(refused).toBeInstanceOf(OpenAI.RateLimitError);
	expect(Number(refused.headers.get("retry-after"))).toBeGreaterThan(20);
	expect(Number(refused.headers.get("x-ratelimit-limit-requests"))).toBe(2);
	await second.models.list();
	// Said without a key, and nothing that a stranger could use.
	expect(await (await fetch(`${url}/healthz`)).json()).toEqual({ status: "ok", peer: asker.peer });
	await expect(network.serve(asker, { apiKeys: ["short"] })).rejects.toThrow(/at least 16/);
	await expect(network.serve(asker, { host: "0.0.0.0" })).rejects.toThrow(/--api-key/);
});

/** With headers that `fetch` does not let anybody set. */
function status(url: string, headers: Record<string, string>, method = "GET"): Promise<[number, string?]> {
	return new Promise((resolve, reject) => {
		request(url, { headers, method }, (response) => {
			response.resume();
			resolve([response.statusCode!, response.headers["access-control-allow-origin"] as string]);
		})
			.on("error", reject)
			.end();
	});
}

test("pages of other origins are refused unless they are allowed, under whatever name they come", async () => {
	const models = `${url}/v1/models`;
	expect(await status(models, {})).toEqual([200, undefined]);
	expect(await status(models, { origin: "https://evil.example" })).toEqual([403, undefined]);
	expect(await status(models, { host: "evil.example" })).toEqual([403, undefined]);
	expect(await status(`${url}/metrics`, { host: "evil.example" })).toEqual([403, undefined]);

	const open = await network.serve(asker, {
		corsOrigins: ["https://app.example"],
		metricsToken: "bearer-of-all",
	});
	const app = { origin: "https://app.example", "access-control-request-method": "POST" };
	expect(await status(`${open.url}/v1/models`, app)).toEqual([200, "https://app.example"]);
	expect(await status(`${open.url}/v1/chat/completions`, app, "OPTIONS")).toEqual([
		204,
		"https://app.example",
	]);
	expect(await status(`${open.url}/v1/models`, { origin: "https://evil.example" })).toEqual([403, undefined]);
	expect((await fetch(`${open.url}/metrics`)).status).toBe(403);
	expect(await status(`${open.url}/metrics`, { authorization: "Bearer bearer-of-all" })).toEqual([
		200,
		undefined,
	]);
});

test("an endpoint that stops lets an answer end, refuses others, and cuts off what takes too long with a word", async () => {
	const ending = await network.serve(asker, { drainMs: 20_000 });
	const asked = { model: "chat", messages, temperature: 0, stream: true } as const;
	const short = await clientOf(ending.url).chat.completions.create({ ...asked, max_tokens: 40 });
	const drained = ending.stop();
	let finish: string | null | undefined;
	for await (const { choices } of short) finish ??= choices[0]?.finish_reason;
	expect(finish).toBeTruthy();
	await drained;
	await expect(clientOf(ending.url).models.list()).rejects.toBeInstanceOf(OpenAI.APIConnectionError);

	const hasty = await network.serve(asker, { drainMs: 0 });
	const endless = await clientOf(hasty.url).chat.completions.create({ ...asked, max_tokens: 1900 });
	const reading = (async () => {
		for await (const _ of endless);
	})();
	const told = expect(reading).rejects.toMatchObject({ code: "lender_lost" });
	await hasty.stop();
	await told;
});

test("a model that nobody holds is waited for, and then refused with when to ask again", async () => {
	const lonely = await TestNetwork.start();
	try {
		const { url } = await lonely.serve(await lonely.join(), { waitMs: 50 });
		const error = await clientOf(url)
			.completions.create({ model: "story", prompt: "a" })
			.catch((error) => error);
		expect(error).toMatchObject({ status: 503, code: "no_lenders", type: "server_error" });
		expect(error.headers.get("retry-after")).toBe("5");
	} finally {
		await lonely.stop();
	}
});

const person = {
	type: "object",
	properties: {
		name: { type: "string", maxLength: 20 },
		age: { type: "integer", minimum: 0, maximum: 150 },
		colours: { type: "array", items: { enum: ["red", "green", "blue"] }, minItems: 1, maxItems: 3 },
	},
	required: ["name", "age", "colours"],
	additionalProperties: false,
};

/** A hundred take half a minute: those are in the large set. */
const answers = process.env.TABMESH_LARGE === "1" ? 100 : 12;

test(`of ${answers} answers that are held to a JSON schema ${answers} parse and fit, whole and streamed`, async () => {
	const fits = new Ajv2020().compile(person);
	const asked = (seed: number) => ({
		model: "chat",
		messages,
		max_tokens: 120,
		temperature: 1,
		seed,
		response_format: {
			type: "json_schema" as const,
			json_schema: { name: "person", schema: person, strict: true },
		},
	});
	const texts: string[] = [];
	for (let seed = 0; seed < answers; seed += 4) {
		const four = [0, 1, 2, 3].map((i) => openai.chat.completions.create(asked(seed + i)));
		for (const { choices } of await Promise.all(four)) texts.push(choices[0]!.message.content!);
	}
	expect(texts.filter((text) => fits(JSON.parse(text)))).toHaveLength(answers);
	expect(new Set(texts).size).toBeGreaterThan(0.9 * answers);
	let streamed = "";
	for await (const { choices } of await openai.chat.completions.create({ ...asked(0), stream: true }))
		streamed += choices[0]?.delta.content ?? "";
	expect(streamed).toBe(texts[0]);
});

test("any JSON object is one where no schema is given, and a schema that cannot be held to is refused", async () => {
	const asked = { model: "chat", messages, max_tokens: 60, temperature: 1, seed: 1 };
	const any = await openai.chat.completions.create({ ...asked, response_format: { type: "json_object" } });
	expect(JSON.parse(any.choices[0]!.message.content!)).toBeTypeOf("object");
	const schema = { type: "string", pattern: "a" };
	const refused = openai.chat.completions.create({
		...asked,
		response_format: { type: "json_schema", json_schema: { name: "no", schema } },
	});
	await expect(refused).rejects.toMatchObject({ status: 400, message: expect.stringContaining("pattern") });
});

const tools = [
	{
		type: "function" as const,
		function: {
			name: "weather",
			description: "How the weather is.",
			parameters: {
				type: "object",
				properties: { place: { $ref: "#/$defs/place" }, days: { type: "integer", minimum: 1, maximum: 7 } },
				required: ["place"],
				additionalProperties: false,
				$defs: { place: { type: "string", minLength: 1, maxLength: 12 } },
			},
		},
	},
	{ type: "function" as const, function: { name: "stop" } },
];

test("tools are called with arguments that fit, whole and streamed, and what they give goes on", async () => {
	const fits = new Ajv2020().compile(tools[0]!.function.parameters!);
	const asked = { model: "chat", messages, max_tokens: 150, temperature: 1, tools };
	for (let seed = 0; seed < 3; seed++) {
		const { choices } = await openai.chat.completions.create({ ...asked, seed, tool_choice: "required" });
		const { finish_reason, message } = choices[0]!;
		expect([finish_reason, message.content]).toEqual(["tool_calls", null]);
		for (const call of message.tool_calls!) {
			if (call.type !== "function") throw new Error("no function");
			const given = JSON.parse(call.function.arguments);
			expect(call.function.name === "weather" ? fits(given) : given).toEqual(
				call.function.name === "weather" ? true : {},
			);
		}
		const stream = openai.chat.completions.stream({ ...asked, seed, tool_choice: "required" });
		const streamed = await stream.finalChatCompletion();
		const said = (calls: typeof message.tool_calls) =>
			calls!.map((call) => (call.type === "function" ? [call.function.name, call.function.arguments] : call));
		expect(said(streamed.choices[0]!.message.tool_calls)).toEqual(said(message.tool_calls));
		expect(streamed.choices[0]!.finish_reason).toBe("tool_calls");
		const next = await openai.chat.completions.create({
			...asked,
			messages: [
				...messages,
				message,
				...message.tool_calls!.map(({ id }) => ({ role: "tool" as const, tool_call_id: id, content: "42" })),
			],
			tool_choice: "none",
			max_tokens: 4,
		});
		expect(next.choices[0]!.message.tool_calls).toBeUndefined();
		expect(next.usage!.prompt_tokens).toBeGreaterThan(40);
	}
	const named = await openai.chat.completions.create({
		...asked,
		tool_choice: { type: "function", function: { name: "stop" } },
	});
	expect(named.choices[0]!.message.tool_calls).toMatchObject([
		{ function: { name: "stop", arguments: "{}" } },
	]);
	// In the words of the model's own template, which are no others' here.
	const cut = await openai.chat.completions.create({ ...asked, tool_choice: "required", stop: "CALL" });
	expect(cut.choices[0]).toMatchObject({ message: { content: "" }, finish_reason: "stop" });
	const free = await openai.chat.completions.create({ ...asked, seed: 1 });
	const { content, tool_calls } = free.choices[0]!.message;
	expect(content === null).toBe(tool_calls !== undefined);
	await expect(
		openai.chat.completions.create({ ...asked, tool_choice: { type: "function", function: { name: "no" } } }),
	).rejects.toMatchObject({ status: 400, param: "tool_choice" });
});
