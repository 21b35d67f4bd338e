import type { FinalNorm } from "@tabmesh/model";
import type { HiddenState } from "@tabmesh/wire";

/** The mean of a text's final hidden states, which come in chunks and in order. */
export class MeanOfStates {
	readonly #norm: FinalNorm;
	readonly #from: number;
	#sums: Float64Array | undefined;
	#count = 0;
	#newest: Float32Array = new Float32Array(0);

	/** @param from - the first position that counts: what begins every text alike tells nothing of this one */
	constructor(norm: FinalNorm, from: number) {
		this.#norm = norm;
		this.#from = from;
	}

	/** @param hidden - behind the last layer, before its norm, from `position` on */
	push(position: number, hidden: HiddenState): void {
		this.#sums ??= new Float64Array(hidden.columns);
		for (let row = 0; row < hidden.rows; row++) {
			const values = this.#norm.row(hidden, row);
			this.#newest = values;
			if (position + row < this.#from) continue;
			for (const [i, value] of values.entries()) this.#sums[i]! += value;
			this.#count++;
		}
	}

	/** The state of the newest position, normalised. */
	get newest(): Float32Array {
		return this.#newest;
	}

	get mean(): Float32Array<ArrayBuffer> {
		return Float32Array.from(this.#sums ?? [], (sum) => sum / Math.max(1, this.#count));
	}
}
