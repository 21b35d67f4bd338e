import type { ModelRef, ShardSource } from "@tabmesh/model";
import type { ConstraintVocabulary, TokenConstraint } from "@tabmesh/model/constraint";
import { type Constraint, InvalidParameterError } from "@tabmesh/wire";

/** What holds answers to forms, for whoever chooses tokens: one vocabulary for each model. */
export class ModelConstraints {
	readonly #source: ShardSource;
	/** Of models whose answers were held to a form, by id: a few, because a lender's owner names its models. */
	readonly #vocabularies = new Map<string, Promise<ConstraintVocabulary>>();

	constructor(source: ShardSource) {
		this.#source = source;
	}

	/** @throws InvalidParameterError where the form, or the model, is none that answers can be held to, and what reading the tokenizer throws */
	async of(model: ModelRef, terms: Constraint): Promise<TokenConstraint> {
		const { TokenConstraint, ConstraintVocabulary } = await import("@tabmesh/model/constraint");
		let vocabulary = this.#vocabularies.get(model.id);
		if (!vocabulary) {
			const entry = model.manifest.tensors.find(({ name }) => name === "tokenizer.json");
			if (!entry)
				throw new InvalidParameterError("The model comes without a tokenizer: no form can be held to.");
			vocabulary = Promise.resolve(this.#source.read(model, entry)).then(
				(bytes) => new ConstraintVocabulary(bytes, model.manifest),
			);
			this.#vocabularies.set(model.id, vocabulary);
			// A failed fetch may succeed the next time.
			vocabulary.catch(() => this.#vocabularies.delete(model.id));
		}
		return new TokenConstraint(terms, await vocabulary);
	}
}
