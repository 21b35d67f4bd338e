import { createHash, timingSafeEqual } from "node:crypto";
import { InvalidParameterError } from "@tabmesh/wire";

/** Shorter ones are found by trying. */
const shortest = 16;

/** The keys that an endpoint takes; of each only its hash is kept. */
export class ApiKeys {
	readonly #hashes: readonly Buffer[];

	/** @throws InvalidParameterError for a key that is too short or cannot stand in a header */
	constructor(keys: readonly string[]) {
		for (const key of keys) {
			if (key.length < shortest || !/^[\x21-\x7e]+$/.test(key)) {
				throw new InvalidParameterError(
					`--api-key takes at least ${shortest} letters, digits and signs without spaces.`,
					{ metaMessages: ["Make one: openssl rand -hex 24"] },
				);
			}
		}
		this.#hashes = keys.map(hashOf);
	}

	/** Whether there are any; without them everybody may ask. */
	get needed(): boolean {
		return this.#hashes.length > 0;
	}

	/**
	 * Which key a request bears, by its place in the list.
	 *
	 * @param header - `Authorization`
	 */
	bearer(header: string | undefined): number | undefined {
		const [, key] = /^Bearer +(\S+)$/i.exec(header ?? "") ?? [];
		if (key === undefined) return undefined;
		const hash = hashOf(key);
		// All are compared, so that the time says nothing.
		const matches = this.#hashes.map((known) => timingSafeEqual(known, hash));
		const place = matches.indexOf(true);
		return place < 0 ? undefined : place;
	}
}

function hashOf(key: string): Buffer {
	return createHash("sha256").update(key).digest();
}
