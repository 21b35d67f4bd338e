import { openSignedReceipt, type SignedReceipt } from "@tabmesh/pipeline";
import type { R1fs } from "@tabmesh/r1fs";
import { decodeCbor, encodeCbor, TabmeshError } from "@tabmesh/wire";
import * as v from "valibot";

/** Receipts come with every answer; what a killed tab loses of them is this much. */
const writeAfterMs = 10_000;
/** Of one device in one epoch: an answer each second for a day. */
const mostReceipts = 86_400;
/** As many of about 1,200 bytes. */
const bookBytes = 128 * 1024 * 1024;

/** What the names of books begin with. */
const bookPrefix = "receipts ";

const envelopeSchema = v.instance(Uint8Array<ArrayBuffer>);
const bookSchema = v.pipe(
	v.array(v.strictTuple([envelopeSchema, envelopeSchema])),
	v.maxLength(mostReceipts),
);

interface ReceiptBookInit {
	/** Our own peer id: every tab keeps a book of its own. */
	readonly peer: string;
	readonly files: () => Promise<R1fs>;
	/** Told where the device does not keep them. */
	readonly onNotice: (error: TabmeshError) => void;
}

/**
 * What this device was signed for, kept until it is settled: a pinned file of R1FS for each epoch, written anew some seconds after
 * something was added.
 */
export class ReceiptBook {
	readonly #init: ReceiptBookInit;
	readonly #epochs = new Map<number, SignedReceipt[]>();
	readonly #changed = new Set<number>();
	#timer: ReturnType<typeof setTimeout> | undefined;
	#writing: Promise<void> = Promise.resolve();
	#noticed = false;

	constructor(init: ReceiptBookInit) {
		this.#init = init;
	}

	add(signed: SignedReceipt): void {
		const { epoch } = signed.receipt;
		this.#changed.add(epoch);
		this.#epochs.set(epoch, [...(this.#epochs.get(epoch) ?? []), signed]);
		this.#timer ??= setTimeout(() => this.#write(), writeAfterMs);
	}

	/** Writes what is not written yet. */
	async close(): Promise<void> {
		this.#write();
		await this.#writing;
	}

	#write(): void {
		clearTimeout(this.#timer);
		this.#timer = undefined;
		for (const epoch of this.#changed) {
			this.#writing = this.#writing
				.then(() => this.#writeEpoch(epoch))
				.catch((error: unknown) => {
					if (this.#noticed || !(error instanceof TabmeshError)) return;
					this.#noticed = true;
					this.#init.onNotice(error);
				});
		}
		this.#changed.clear();
	}

	async #writeEpoch(epoch: number): Promise<void> {
		const files = await this.#init.files();
		const name = `${bookPrefix}${epoch} ${this.#init.peer.slice(-8)}.cbor`;
		const before = (await files.list()).filter((file) => file.name === name);
		const known = await Promise.all(before.map(({ cid }) => readBook(files, cid)));
		const book = new Map<string, SignedReceipt>();
		for (const signed of [...known.flat(), ...(this.#epochs.get(epoch) ?? [])]) {
			book.set(keyOf(signed), signed);
		}
		const entries = [...book.values()].slice(-mostReceipts).map(({ byPeer, byAsker }) => [byPeer, byAsker]);
		const { cid } = await files.add(encodeCbor(entries), { name });
		// Only now: whatever ends this device, one of the two is there.
		for (const old of before) if (old.cid !== cid) await files.remove(old.cid);
		this.#epochs.delete(epoch);
	}
}

/** All that this device was signed for, and has not forgotten. */
export async function readReceipts(files: R1fs): Promise<SignedReceipt[]> {
	const books = (await files.list()).filter(({ name }) => name?.startsWith(bookPrefix));
	return (await Promise.all(books.map(({ cid }) => readBook(files, cid)))).flat();
}

/** The receipts in a book, each as both sides signed it; a book that is broken is as good as empty. */
async function readBook(files: R1fs, cid: string): Promise<SignedReceipt[]> {
	try {
		const entries = decodeCbor(
			bookSchema,
			await files.get(cid, { offline: true }).bytes(bookBytes),
			bookBytes,
		);
		return await Promise.all(entries.map(([byPeer, byAsker]) => openSignedReceipt({ byPeer, byAsker })));
	} catch (error) {
		if (error instanceof TabmeshError) return [];
		throw error;
	}
}

function keyOf({ receipt }: SignedReceipt): string {
	return [receipt.stream.join(), receipt.span.from, receipt.span.to].join(" ");
}
