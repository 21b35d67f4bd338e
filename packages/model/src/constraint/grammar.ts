import { InvalidParameterError } from "@tabmesh/wire";

/** Nodes of one grammar: a schema for people has some hundred; beyond this every step would take long. */
const MOST_NODES = 8192;
/** Of a node that never comes to an end. */
const ENDLESS = Number.POSITIVE_INFINITY;

/** A rule, by its place in the grammar: rules may be about themselves. */
export type Rule = number;

/** What texts look like, over bytes of UTF-8. */
export type Node =
	| { readonly kind: "literal"; readonly bytes: Uint8Array }
	| { readonly kind: "choice"; readonly rules: readonly Rule[] }
	| { readonly kind: "sequence"; readonly rules: readonly Rule[] }
	/** A JSON string, of so many characters. */
	| { readonly kind: "string"; readonly least: number; readonly most: number }
	/** A JSON number without an exponent, in units of `numberScale`. */
	| { readonly kind: "number"; readonly whole: boolean; readonly least: bigint; readonly most: bigint }
	/** Any text that does not begin, after spaces, with one of these bytes. It may end at any point. */
	| { readonly kind: "text"; readonly not: readonly number[] };

export interface Grammar {
	readonly root: Rule;
	readonly nodes: readonly Node[];
	/** Of each node: bytes of its shortest text, or a few more. */
	readonly shortest: readonly number[];
}

const encoder = new TextEncoder();

/** Puts a grammar together. Rules can be named before they are known. */
export class GrammarBuilder {
	readonly #nodes: (Node | undefined)[] = [];

	/** @throws InvalidParameterError when there are too many */
	add(node?: Node): Rule {
		if (this.#nodes.length >= MOST_NODES) {
			throw new InvalidParameterError("The schema is too large: it has too many parts.", {
				metaMessages: ["Ask for less in one answer."],
			});
		}
		return this.#nodes.push(node) - 1;
	}

	/** Gives a rule that was only named its node. */
	set(rule: Rule, node: Node): void {
		this.#nodes[rule] = node;
	}

	literal(text: string): Rule {
		return this.add({ kind: "literal", bytes: encoder.encode(text) });
	}

	sequence(...rules: Rule[]): Rule {
		return this.add({ kind: "sequence", rules });
	}

	choice(rules: readonly Rule[]): Rule {
		return rules.length === 1 ? rules[0]! : this.add({ kind: "choice", rules });
	}

	optional(text: string): Rule {
		return this.choice([this.literal(text), this.literal("")]);
	}

	/**
	 * The grammar, without choices that lead nowhere.
	 *
	 * @throws InvalidParameterError when nothing fits it
	 */
	build(root: Rule): Grammar {
		const nodes = this.#nodes as Node[];
		const shortest = shortestOf(nodes);
		if (shortest[root] === ENDLESS) {
			throw new InvalidParameterError(
				"Nothing fits the schema: a part of it contains itself without an end.",
			);
		}
		return {
			root,
			nodes: nodes.map((node) =>
				node.kind === "choice"
					? { ...node, rules: node.rules.filter((rule) => shortest[rule]! < ENDLESS) }
					: node,
			),
			shortest,
		};
	}
}

/** The least fixed point: as many rounds as rules stand within each other, a handful. */
function shortestOf(nodes: readonly Node[]): number[] {
	const shortest = nodes.map(() => ENDLESS);
	for (let changed = true; changed; ) {
		changed = false;
		// What a rule is made of mostly stands before it.
		for (let rule = 0; rule < nodes.length; rule++) {
			const length = lengthOf(nodes[rule]!, shortest);
			if (length < shortest[rule]!) {
				shortest[rule] = length;
				changed = true;
			}
		}
	}
	return shortest;
}

/** A number within bounds may take all of its digits. */
const MOST_NUMBER_BYTES = 18;

function lengthOf(node: Node, shortest: readonly number[]): number {
	switch (node.kind) {
		case "literal":
			return node.bytes.byteLength;
		case "choice":
			return node.rules.reduce((least, rule) => Math.min(least, shortest[rule]!), ENDLESS);
		case "sequence":
			return node.rules.reduce((sum, rule) => sum + shortest[rule]!, 0);
		case "string":
			return node.least + 2;
		case "number":
			return MOST_NUMBER_BYTES;
		case "text":
			return 0;
	}
}
