import { InvalidParameterError, type Manifest, TabmeshError, TokenizerError } from "@tabmesh/wire";
import * as fc from "fast-check";
import { beforeAll, describe, expect, test } from "vitest";
import { publishModel } from "../manifest/publishModel.ts";
import { openSeededModel } from "../testing/openSeededModel.ts";
import { createTokenizer, type Tokenizer } from "./tokenizer.ts";

let tokenizer: Tokenizer;
let json: Uint8Array;
let manifest: Manifest;
beforeAll(async () => {
	const source = await openSeededModel();
	json = source.derived[0]!.content;
	({ manifest } = await publishModel(source));
	tokenizer = createTokenizer(json, manifest);
});

const text = fc.string({ unit: "binary", maxLength: 64 });
const textWithNames = fc
	.array(fc.oneof(text, fc.constantFrom("<s>", "</s>", "<unk>", "<0x0A>", "<", ">", "\n", "▁", " ")), {
		maxLength: 12,
	})
	.map((parts) => parts.join(""));

describe("encode and decode", () => {
	test("text comes back as it was, emoji, right-to-left and control characters included", () => {
		fc.assert(
			fc.property(textWithNames, (original) => {
				// SentencePiece's own mark for a space cannot be told from one.
				const expected = original.toWellFormed().replaceAll("▁", " ");
				expect(tokenizer.decode(tokenizer.encode(original))).toBe(expected);
			}),
		);
	});

	test("no special token comes out of text, whatever the text says", () => {
		fc.assert(
			fc.property(textWithNames, (original) => {
				for (const token of tokenizer.encode(original)) expect(token).toBeGreaterThanOrEqual(3);
			}),
		);
	});

	test("a lone surrogate becomes the replacement character", () => {
		expect(tokenizer.decode(tokenizer.encode("a\ud83dz"))).toBe("a\ufffdz");
	});

	test("a prompt begins with the model's own beginning, an empty one too", () => {
		expect(tokenizer.encodePrompt("")).toEqual([1]);
		expect(tokenizer.encodePrompt("a")[0]).toBe(1);
	});

	test("pieces named like properties of every object are pieces like others", () => {
		const file = JSON.parse(new TextDecoder().decode(json));
		file.model.vocab.constructor = 600;
		file.model.vocab.toString = 601;
		const larger = { ...manifest, config: { ...manifest.config, vocabularySize: 700 } };
		const unusual = createTokenizer(new TextEncoder().encode(JSON.stringify(file)), larger);
		expect(unusual.decode([600, 601])).toBe("constructortoString");
	});
});

describe("the streaming decoder", () => {
	test("never shows half a character, and shows all of them in the end", () => {
		fc.assert(
			fc.property(text, (original) => {
				const decoder = tokenizer.streamingDecoder();
				const shown = tokenizer.encode(original).map((token) => decoder.push(token));
				const wellFormed = original.toWellFormed();
				if (!wellFormed.includes("\ufffd")) for (const piece of shown) expect(piece).not.toContain("\ufffd");
				expect((shown.join("") + decoder.flush()).replaceAll("▁", " ")).toBe(wellFormed.replaceAll("▁", " "));
			}),
		);
	});

	test("an emoji in four byte tokens appears with the fourth", () => {
		const decoder = tokenizer.streamingDecoder([5]);
		const bytes = [...new TextEncoder().encode("👧")];
		expect(bytes.map((byte) => decoder.push(3 + byte))).toEqual(["", "", "", "👧"]);
	});

	test("an emoji that never ends becomes the replacement character", () => {
		const decoder = tokenizer.streamingDecoder();
		expect(decoder.push(3 + 0xf0)).toBe("");
		expect(decoder.flush()).toBe("\ufffd");
	});

	test("a space at the beginning of everything is left out, one that continues a text is not", () => {
		const [first] = tokenizer.encode("a");
		const spaced = tokenizer.encode("a b").at(-2)!;
		const space = 259;
		expect(tokenizer.streamingDecoder([1]).push(space)).toBe("");
		expect(tokenizer.streamingDecoder([1, first!, spaced]).push(space)).toBe(" ");
	});

	test("a token outside the vocabulary is a typed error", () => {
		for (const token of [-1, 512, 1.5, Number.NaN]) {
			expect(() => tokenizer.decode([token])).toThrow(TokenizerError);
		}
	});
});

describe("chat templates", () => {
	const chatTemplate =
		"{% for m in messages %}{% if m.role == 'robot' %}{{ raise_exception('no robots') }}{% endif %}" +
		"{{ bos_token }}{{ m.role | upper }}:{{ m.content | trim }}{{ eos_token }}{% endfor %}" +
		"{% if add_generation_prompt %}ASSISTANT:{% endif %}";
	const chatting = () =>
		createTokenizer(json, { ...manifest, tokenizer: { bos: 1, eos: [2], chatTemplate } });

	test("special tokens come from the template alone, never out of a message", () => {
		fc.assert(
			fc.property(textWithNames, (content) => {
				const tokens = chatting().encodeChat([{ role: "user", content }]);
				expect(tokens.filter((token) => token < 3)).toEqual([1, 2]);
				const said = tokens.slice(1, tokens.indexOf(2));
				const expected = `USER:${content.trim()}`.toWellFormed().replaceAll("▁", " ");
				expect(chatting().decode(said)).toBe(expected);
			}),
			{ numRuns: 30 },
		);
	});

	test("a model without a template says that it does not chat", () => {
		expect(() => tokenizer.encodeChat([{ role: "user", content: "hi" }])).toThrow(InvalidParameterError);
	});

	test("nor where the file calls the end of a turn an ordinary token", () => {
		const file = JSON.parse(new TextDecoder().decode(json)) as { added_tokens: { special: boolean }[] };
		for (const token of file.added_tokens) token.special = false;
		const bytes = new TextEncoder().encode(JSON.stringify(file));
		const lax = createTokenizer(bytes, { ...manifest, tokenizer: { bos: 1, eos: [2], chatTemplate } });
		expect(lax.encode("a</s>b<s>")).not.toContain(2);
		const tokens = lax.encodeChat([{ role: "user", content: "a</s>b<s>" }]);
		expect(tokens.filter((token) => token === 1 || token === 2)).toEqual([1, 2]);
		expect(lax.decode([2])).toBe("");
	});

	test("nor out of a role", () => {
		const tokens = chatting().encodeChat([{ role: "user</s><s>", content: "hi" }]);
		expect(tokens.filter((token) => token < 3)).toEqual([1, 2]);
	});

	const withTemplate = (template: string) =>
		createTokenizer(json, { ...manifest, tokenizer: { bos: 1, eos: [2], chatTemplate: template } });

	test.each([
		["counts for ever", "{% for i in range(1000000000) %}{% endfor %}"],
		["counts to nowhere", "{% for i in range(1, 2, 0) %}{% endfor %}"],
		[
			"has loops in loops",
			"{% set a = range(1000) %}{% for i in a %}{% for j in a %}{% for k in a %}{% endfor %}{% endfor %}{% endfor %}",
		],
		[
			"picks out of loops in loops",
			"{% set a = range(1000) %}{% for i in a if i %}{% for j in a if j %}{% for k in a if k %}{% endfor %}{% endfor %}{% endfor %}",
		],
		["calls itself", "{% macro f(n) %}{{ f(n) }}{{ f(n) }}{% endmacro %}{{ f(1) }}"],
		[
			"doubles its text",
			"{% set n = namespace(t='x') %}{% for i in range(100) %}{% set n.t = n.t ~ n.t %}{% endfor %}{{ n.t }}",
		],
		[
			"doubles a list",
			"{% set n = namespace(t=[1]) %}{% for i in range(100) %}{% set n.t = n.t + n.t %}{% endfor %}{{ n.t | length }}",
		],
		[
			"writes for ever",
			"{% for i in range(100000) %}{{ messages[0].content * 1 }}xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx{% endfor %}",
		],
		["raises", "{{ raise_exception('no') }}"],
		["calls what is not there", "{{ nothing() }}"],
		["does not close", "{% if true %}"],
		["is nested beyond measure", `{{ ${"(".repeat(30_000)} }}`],
	])("a template that %s is a typed error", (_what, template) => {
		const encode = () => withTemplate(template).encodeChat([{ role: "user", content: "hi".repeat(100) }]);
		expect(encode).toThrow(TabmeshError);
	});

	test("any template gives tokens or a typed error", () => {
		const piece = fc.constantFrom(
			...[
				"{{ ",
				" }}",
				"{% for m in messages %}",
				"{% endfor %}",
				"{% if ",
				" %}",
				"{% endif %}",
				"{% set x = ",
				"m",
				"x",
			],
			...[
				"messages",
				"[0]",
				"[1:]",
				"[::-1]",
				".content",
				".role",
				" | trim",
				" | tojson",
				" | length",
				" ~ ",
				" + ",
			],
			...[
				"'a'",
				"1",
				"-",
				"(",
				")",
				"range(3)",
				"loop.index0",
				" is defined",
				" in ",
				"namespace(x=1)",
				"<s>",
				"\n",
			],
			...[
				"{% macro f(x) %}",
				"{% endmacro %}",
				"f(1)",
				"{#",
				"#}",
				"{%- ",
				" -%}",
				"{% break %}",
				"{% else %}",
				"{",
			],
		);
		const numRuns = Number(process.env.FUZZ_RUNS ?? 10_000);
		fc.assert(
			fc.property(fc.array(piece, { maxLength: 16 }), (pieces) => {
				try {
					withTemplate(pieces.join("")).encodeChat([{ role: "user", content: "hi" }]);
				} catch (error) {
					if (!(error instanceof TabmeshError)) throw error;
				}
			}),
			{ numRuns },
		);
	});

	test("a long chat is none of these", () => {
		const messages = Array.from({ length: 2000 }, (_, i) => ({
			role: i % 2 === 0 ? "user" : "assistant",
			content: `message ${i} `.repeat(20),
		}));
		// ChatML as Qwen has it, which looks back at other messages.
		const template =
			"{% for m in messages %}{% if loop.first and messages[0].role != 'system' %}{{ 'sys ' }}{% endif %}" +
			"{% if m.role == 'user' or (m.role == 'assistant' and messages[loop.index0 - 1].role == 'user') %}" +
			"{{ '<s>' ~ m.role ~ '\n' ~ m.content | trim ~ '</s>\n' }}{% endif %}{% endfor %}{{ strftime_now('%Y') | length }}";
		const tokens = withTemplate(template).encodeChat(messages);
		expect(tokens.filter((token) => token === 2)).toHaveLength(2000);
	});

	test("messages that the template refuses are an error with its reason", () => {
		expect(() => chatting().encodeChat([{ role: "robot", content: "hi" }])).toThrow(/no robots/);
	});
});

describe("broken tokenizers", () => {
	test.each([
		["no JSON", "{"],
		["no object", "[]"],
		["no vocabulary", JSON.stringify({ model: { type: "BPE" } })],
		["an id that is no number", JSON.stringify({ model: { type: "BPE", vocab: { a: "b" }, merges: [] } })],
		["another model", JSON.stringify({ model: { type: "WordPiece", vocab: {}, merges: [] } })],
		["merges that are none", JSON.stringify({ model: { type: "BPE", vocab: { a: 1 }, merges: 7 } })],
	])("%s is a typed error", (_what, content) => {
		expect(() => createTokenizer(new TextEncoder().encode(content), manifest)).toThrow(TokenizerError);
	});

	test("any bytes are a tokenizer or a typed error", () => {
		const numRuns = Number(process.env.FUZZ_RUNS ?? 10_000);
		fc.assert(
			fc.property(fc.uint8Array({ maxLength: 128 }), (bytes) => {
				expect(() => createTokenizer(bytes, manifest)).toThrow(TokenizerError);
			}),
			{ numRuns },
		);
	});
});
