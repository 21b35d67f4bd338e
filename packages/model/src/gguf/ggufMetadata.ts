import { ModelFileError } from "@tabmesh/wire";
import type { GgufArray, GgufValue } from "./ggufHeader.ts";

/** The metadata of a GGUF file, read by key and kind: what is not of the wanted kind is an error that says what was found. */
export class GgufMetadata {
	readonly #file: string;
	readonly #values: ReadonlyMap<string, GgufValue>;

	constructor(file: string, values: ReadonlyMap<string, GgufValue>) {
		this.#file = file;
		this.#values = values;
	}

	has(key: string): boolean {
		return this.#values.has(key);
	}

	string(key: string): string {
		return this.optionalString(key) ?? this.#missing(key);
	}

	optionalString(key: string): string | undefined {
		const value = this.#values.get(key);
		return value === undefined || typeof value === "string" ? value : this.#wrong(key, "text", value);
	}

	/** A whole number of at least one. */
	count(key: string): number {
		return this.optionalCount(key) ?? this.#missing(key);
	}

	/** A whole number of at least one; where the file gives one per layer, they have to be the same. */
	optionalCount(key: string): number | undefined {
		let value = this.#values.get(key);
		if (typeof value === "object" && value.length > 0) {
			const numbers: ArrayLike<unknown> = value;
			const [first] = Array.from(numbers);
			for (let i = 0; i < numbers.length; i++) {
				if (numbers[i] !== first) {
					throw new ModelFileError(
						`${this.#file} has layers that differ from each other in ${key}; Tabmesh cannot run that.`,
					);
				}
			}
			value = first as GgufValue;
		}
		if (value === undefined) return undefined;
		if (typeof value === "number" && Number.isSafeInteger(value) && value >= 1) return value;
		return this.#wrong(key, "a whole number above zero", value);
	}

	optionalNumber(key: string): number | undefined {
		const value = this.#values.get(key);
		if (value === undefined || (typeof value === "number" && Number.isFinite(value))) return value;
		return this.#wrong(key, "a number", value);
	}

	number(key: string): number {
		return this.optionalNumber(key) ?? this.#missing(key);
	}

	optionalBoolean(key: string): boolean | undefined {
		const value = this.#values.get(key);
		return value === undefined || typeof value === "boolean"
			? value
			: this.#wrong(key, "true or false", value);
	}

	optionalStrings(key: string): readonly string[] | undefined {
		const value = this.#values.get(key);
		if (value === undefined || Array.isArray(value)) return value as readonly string[] | undefined;
		return this.#wrong(key, "a list of texts", value);
	}

	optionalNumbers(key: string): ArrayLike<number> | undefined {
		const value = this.#values.get(key);
		if (value === undefined) return undefined;
		if (isNumbers(value)) return value;
		return this.#wrong(key, "a list of numbers", value);
	}

	#missing(key: string): never {
		throw new ModelFileError(`${this.#file} says nothing about ${key}.`, { details: { key } });
	}

	#wrong(key: string, wanted: string, value: GgufValue): never {
		const found =
			typeof value === "object"
				? `a list of ${value.length}`
				: `${typeof value} ${String(value).slice(0, 32)}`;
		throw new ModelFileError(`${this.#file} gives ${found} as ${key}, where ${wanted} is needed.`, {
			details: { key },
		});
	}
}

function isNumbers(
	value: GgufValue,
): value is Exclude<GgufArray, readonly string[] | BigUint64Array | BigInt64Array> {
	return ArrayBuffer.isView(value) && !(value instanceof BigUint64Array) && !(value instanceof BigInt64Array);
}
