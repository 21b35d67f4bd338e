import { FinalNorm, finalNormTensor, type ModelRef, type ShardSource } from "@tabmesh/model";

/** Norms behind the last layers of models, for whoever takes means of their hidden states: each read once. */
export class FinalNorms {
	readonly #source: ShardSource;
	/** By id: a few, because a lender's owner names its models. */
	readonly #norms = new Map<string, Promise<FinalNorm>>();

	constructor(source: ShardSource) {
		this.#source = source;
	}

	/** @throws ModelFileError, and what reading a tensor throws */
	of(model: ModelRef): Promise<FinalNorm> {
		let norm = this.#norms.get(model.id);
		if (!norm) {
			const { manifest } = model;
			norm = Promise.resolve(this.#source.read(model, finalNormTensor(manifest))).then(
				(bytes) => new FinalNorm(manifest, bytes),
			);
			this.#norms.set(model.id, norm);
			// A failed fetch may succeed the next time.
			norm.catch(() => this.#norms.delete(model.id));
		}
		return norm;
	}
}
