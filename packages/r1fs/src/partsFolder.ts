import { createHash } from "node:crypto";
import { readdir, readFile, unlink } from "node:fs/promises";
import { join } from "node:path";
import { decodeCbor, encodeCbor } from "@tabmesh/wire";
import * as v from "valibot";
import { blockLimits } from "./blockLimits.ts";
import type { WholeDescription } from "./blockStore.ts";

const textSchema = v.pipe(v.string(), v.maxLength(blockLimits.sourceLength));

// The records are our own, but the folder lies open to every program of this user.
const partsSchema = v.strictObject({
	whole: textSchema,
	about: v.nullable(
		v.strictObject({ name: textSchema, size: v.pipe(v.number(), v.safeInteger(), v.minValue(0)) }),
	),
	sources: v.pipe(v.array(textSchema), v.maxLength(blockLimits.fileBlocks)),
	/** Key, and place in `sources` or -1. */
	blocks: v.pipe(
		v.array(v.strictTuple([v.pipe(v.string(), v.regex(/^b[a-z2-7]{55}$/)), v.pipe(v.number(), v.integer())])),
		v.maxLength(blockLimits.fileBlocks),
	),
});

// 64 bytes for each key with its source, and as much for each source.
const longestParts = blockLimits.fileBlocks * 128;

/** Notes are written together: a record for each block would be written as often as the blocks. */
const writeEveryMs = 5_000;

/** What blocks are parts of, and who gave them. A claim: whoever reads it looks which of the blocks are there. */
export interface Parts {
	readonly whole: string;
	about: WholeDescription | undefined;
	readonly blocks: Map<string, string | undefined>;
}

/**
 * One record for each whole. Several processes may write: each reads what is there and adds its own. What a killed process had
 * not written yet is only that knowledge; the blocks are there.
 */
export class PartsFolder {
	readonly #folder: string;
	readonly #write: (path: string, bytes: Uint8Array) => Promise<void>;
	readonly #waiting = new Map<string, Parts>();
	#timer: ReturnType<typeof setTimeout> | undefined;
	#writing: Promise<void> = Promise.resolve();

	/** @param write - whole or not at all */
	constructor(folder: string, write: (path: string, bytes: Uint8Array) => Promise<void>) {
		this.#folder = folder;
		this.#write = write;
	}

	note(whole: string, key: string, from: string | undefined): void {
		const { blocks } = this.#wait(whole);
		blocks.set(key, blocks.get(key) ?? from);
		this.#writeSoon();
	}

	describe(whole: string, about: WholeDescription): void {
		this.#wait(whole).about = about;
		this.#writeSoon();
	}

	async all(): Promise<Parts[]> {
		await this.flush();
		const names = await readdir(this.#folder).catch(() => []);
		const all = await Promise.all(names.map((name) => this.#read(name)));
		return all.filter((parts) => parts !== undefined);
	}

	/** @returns what was known of it */
	async drop(whole: string): Promise<Parts | undefined> {
		await this.flush();
		const parts = await this.#read(fileName(whole));
		await unlink(join(this.#folder, fileName(whole))).catch(() => {});
		return parts;
	}

	/** Writes what waits. A disk that refuses loses only who gave what. */
	flush(): Promise<void> {
		clearTimeout(this.#timer);
		this.#timer = undefined;
		const waiting = [...this.#waiting.values()];
		this.#waiting.clear();
		this.#writing = this.#writing.then(async () => {
			for (const parts of waiting) await this.#add(parts).catch(() => {});
		});
		return this.#writing;
	}

	#wait(whole: string): Parts {
		let parts = this.#waiting.get(whole);
		if (!parts) {
			parts = { whole, about: undefined, blocks: new Map() };
			this.#waiting.set(whole, parts);
		}
		return parts;
	}

	#writeSoon(): void {
		this.#timer ??= setTimeout(() => void this.flush(), writeEveryMs);
		this.#timer.unref();
	}

	async #add({ whole, about, blocks }: Parts): Promise<void> {
		const known = await this.#read(fileName(whole));
		const all = new Map(known?.blocks);
		for (const [key, from] of blocks) all.set(key, all.get(key) ?? from);
		const sources = [...new Set(all.values())].filter((source) => source !== undefined);
		const places = new Map(sources.map((source, i) => [source, i]));
		const record: v.InferOutput<typeof partsSchema> = {
			whole,
			about: about ?? known?.about ?? null,
			sources,
			blocks: [...all].map(([key, from]) => [key, from === undefined ? -1 : places.get(from)!]),
		};
		await this.#write(join(this.#folder, fileName(whole)), encodeCbor(record));
	}

	async #read(name: string): Promise<Parts | undefined> {
		try {
			const bytes = await readFile(join(this.#folder, name));
			const { whole, about, sources, blocks } = decodeCbor(partsSchema, bytes, longestParts);
			if (fileName(whole) !== name) return undefined;
			return {
				whole,
				about: about ?? undefined,
				blocks: new Map(blocks.map(([key, place]) => [key, sources[place]])),
			};
		} catch {
			return undefined;
		}
	}
}

/** A whole's name may be anything; a file's may not. */
function fileName(whole: string): string {
	return createHash("sha256").update(whole).digest("hex");
}
