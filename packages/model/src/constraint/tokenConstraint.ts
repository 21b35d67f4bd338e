import { type Constraint, InvalidParameterError } from "@tabmesh/wire";
import type { ConstraintVocabulary } from "./constraintVocabulary.ts";
import { GrammarBuilder } from "./grammar.ts";
import { JsonSchemaGrammar } from "./jsonSchemaGrammar.ts";
import { type Match, Matcher } from "./matcher.ts";
import type { TokenTrie } from "./tokenTrie.ts";

/** Nodes of the vocabulary's tree looked at for one token: a limit for schemas that are made to be slow. */
const MOST_LOOKS = 1_000_000;

/**
 * A grammar over a vocabulary: tells for every text so far which tokens may come next.
 *
 * Of the same terms, vocabulary and tokens it is the same on every machine.
 */
export class TokenConstraint {
	readonly #matcher: Matcher;
	readonly #vocabulary: ConstraintVocabulary;
	readonly #begin: Match;
	#allowed = new Uint8Array(0);
	#looks = 0;

	/** @throws InvalidParameterError when the schema is no JSON, not offered, or too large */
	constructor(terms: Constraint, vocabulary: ConstraintVocabulary) {
		this.#matcher = new Matcher(grammarOf(terms));
		this.#vocabulary = vocabulary;
		this.#begin = this.#matcher.begin();
	}

	/** Before the first token. */
	get begin(): Match {
		return this.#begin;
	}

	/** With one token more; undefined where it may not come. */
	accept(match: Match, token: number): Match | undefined {
		const bytes = this.#vocabulary.bytes(token);
		if (bytes.byteLength === 0) return undefined;
		let reached: Match | undefined = match;
		for (const byte of bytes) {
			reached = this.#matcher.advance(reached, byte);
			if (!reached) return undefined;
		}
		return reached;
	}

	/**
	 * 1 for every token that may come next. Where few tokens are left, only those with which the text comes to its end in time; where it
	 * no longer can, all that fit.
	 *
	 * @param left - tokens that may be written, this one included, and the one that ends the answer
	 * @param ends - tokens that end the answer: they may come where the text may end
	 * @returns the same array at each call
	 */
	allowed(match: Match, left: number, ends: readonly number[]): Uint8Array {
		const { size } = this.#vocabulary;
		if (this.#allowed.length !== size) this.#allowed = new Uint8Array(size);
		for (const budget of [left - 2, Number.POSITIVE_INFINITY]) {
			this.#allowed.fill(0);
			this.#looks = 0;
			for (const way of match.ways) this.#allowOne(this.#matcher.only(way), budget);
			if (match.complete) for (const token of ends) this.#allowed[token] = 1;
			if (this.#allowed.includes(1)) break;
		}
		return this.#allowed;
	}

	/** @param budget - bytes that the rest may take */
	#allowOne(match: Match, budget: number): void {
		const { all, others, plain, tokens } = this.#vocabulary;
		const [way] = match.ways;
		if (this.#matcher.takesAll(way!)) {
			for (const token of tokens) this.#allowed[token] = 1;
			return;
		}
		const string = this.#matcher.stringAt(way!);
		if (!string) {
			this.#descend(all, 0, match, budget);
			return;
		}
		// What stays within the string needs no look at each byte.
		const { cost, needs, room } = string;
		for (let characters = 1; characters < plain.length && characters <= room; characters++) {
			if (cost - Math.min(characters, needs) > budget) continue;
			for (const token of plain[characters]!) this.#allowed[token] = 1;
		}
		this.#descend(others, 0, match, budget);
	}

	#descend(trie: TokenTrie, node: number, match: Match, budget: number): void {
		for (let child = trie.firstChild[node]!; child >= 0; child = trie.nextSibling[child]!) {
			if (++this.#looks > MOST_LOOKS) return;
			const reached = this.#matcher.advance(match, trie.byte[child]!);
			if (!reached) continue;
			if (trie.token[child]! >= 0 && this.#matcher.cost(reached) <= budget) {
				for (let token = trie.token[child]!; token >= 0; token = trie.sameBytes[token]!) {
					this.#allowed[token] = 1;
				}
			}
			this.#descend(trie, child, reached, budget);
		}
	}
}

function grammarOf({ schema, before = "", behind = "", orText = false, several = false }: Constraint) {
	let value: unknown;
	try {
		value = JSON.parse(schema);
	} catch (cause) {
		throw new InvalidParameterError("The JSON schema is no JSON.", { cause });
	}
	const grammar = new GrammarBuilder();
	const json = new JsonSchemaGrammar(grammar, value).rule();
	// Vocabularies have words with a space before them.
	const space = grammar.optional(" ");
	const one = grammar.sequence(grammar.literal(before), json, grammar.literal(behind));
	let whole = grammar.sequence(space, one);
	if (several) {
		const more = grammar.add();
		const next = grammar.sequence(grammar.literal("\n"), one, more);
		grammar.set(more, { kind: "choice", rules: [grammar.literal(""), next] });
		whole = grammar.sequence(space, one, more);
	}
	if (orText) {
		const first = before === "" ? "{" : before[0]!;
		const text = grammar.add({ kind: "text", not: [first.charCodeAt(0)] });
		whole = grammar.choice([whole, text]);
	}
	return grammar.build(whole);
}
