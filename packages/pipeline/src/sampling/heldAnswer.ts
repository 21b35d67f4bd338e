import type { Match, TokenConstraint } from "@tabmesh/model/constraint";
import { InvalidParameterError } from "@tabmesh/wire";

/** An answer that is held to a form: where in the form it is. */
export class HeldAnswer {
	readonly #constraint: TokenConstraint;
	#match: Match;

	constructor(constraint: TokenConstraint) {
		this.#constraint = constraint;
		this.#match = constraint.begin;
	}

	/**
	 * Goes on behind these tokens, whatever came before.
	 *
	 * @throws InvalidParameterError when they do not fit
	 */
	restart(tokens: readonly number[]): void {
		this.#match = this.#constraint.begin;
		for (const token of tokens) this.push(token);
	}

	/** 1 for every token that may come next; holds until the next call. As `TokenConstraint.allowed`. */
	allowed(left: number, ends: readonly number[]): Uint8Array {
		return this.#constraint.allowed(this.#match, left, ends);
	}

	/** @throws InvalidParameterError when the token does not fit */
	push(token: number): void {
		const match = this.#constraint.accept(this.#match, token);
		if (!match)
			throw new InvalidParameterError("The answer so far does not fit the form that it is held to.");
		this.#match = match;
	}
}
