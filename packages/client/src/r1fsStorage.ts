import type { FileRecord, KeptParts, R1fs } from "@tabmesh/r1fs";
import { StorageInUseError } from "@tabmesh/wire";
import { TypedEventEmitter } from "main-event";
import type {
	DeviceStorage,
	DeviceStorageEvents,
	KeptSource,
	KeptThing,
	StorageView,
} from "./deviceStorage.ts";

/** What R1FS keeps on this device, as people want to see it. */
export class R1fsStorage extends TypedEventEmitter<DeviceStorageEvents> implements DeviceStorage {
	readonly #open: () => Promise<R1fs>;
	#files: Promise<R1fs> | undefined;

	/** @param open - called when something is asked for the first time */
	constructor(open: () => Promise<R1fs>) {
		super();
		this.#open = open;
	}

	async view(): Promise<StorageView> {
		const files = await this.#opened();
		const [usage, records, { parts, looseBytes }, held] = await Promise.all([
			files.usage(),
			files.list(),
			files.survey(),
			files.held(),
		]);
		const partsOf = new Map(parts.map((each) => [each.whole, each]));
		const kept = records.map((record) => keptFile(record, partsOf.get(record.cid), held));
		const whole = new Set(records.map(({ cid }) => cid));
		for (const each of parts) if (!whole.has(each.whole)) kept.push(keptParts(each, held));
		kept.sort((a, b) => b.bytes - a.bytes);
		return { ...usage, kept, looseBytes };
	}

	async setBudget(bytes: number): Promise<void> {
		await (await this.#opened()).setBudget(bytes);
	}

	async persist(): Promise<boolean> {
		return (await this.#opened()).persist();
	}

	async free(id: string): Promise<number> {
		return (await this.#opened()).remove(id);
	}

	async freeUnused(): Promise<number> {
		const files = await this.#opened();
		const { kept } = await this.view();
		let freed = 0;
		for (const { id, pinned, inUse } of kept) {
			if (pinned || inUse) continue;
			try {
				freed += await files.remove(id);
			} catch (error) {
				// Somebody began to use it since we looked.
				if (!(error instanceof StorageInUseError)) throw error;
			}
		}
		return freed + (await files.removeLoose());
	}

	#opened(): Promise<R1fs> {
		this.#files ??= this.#open().then((files) => {
			files.addEventListener("change", () => this.dispatchEvent(new Event("change")));
			return files;
		});
		return this.#files;
	}
}

function keptFile(record: FileRecord, parts: KeptParts | undefined, held: ReadonlySet<string>): KeptThing {
	// Block by block where that was written down, else as it was counted when it was fetched.
	const from = sourcesOf(parts?.from ?? record.from, record.storedBytes);
	return {
		id: record.cid,
		kind: "file",
		name: record.name,
		bytes: record.storedBytes,
		wholeBytes: record.storedBytes,
		blocks: record.blocks,
		pinned: record.pinned,
		inUse: held.has(record.cid),
		usedAt: Math.max(record.addedAt, parts?.usedAt ?? 0),
		// What nobody gave was added here.
		from: from.length === 1 && from[0]!.kind === "unknown" ? [{ ...from[0]!, kind: "device" }] : from,
	};
}

function keptParts(parts: KeptParts, held: ReadonlySet<string>): KeptThing {
	return {
		id: parts.whole,
		// Only models are read by a description; of a file whose range was read nobody here knows more than its CID.
		kind: parts.about ? "model" : "file",
		name: parts.about?.name,
		bytes: parts.storedBytes,
		wholeBytes: parts.about?.size,
		blocks: parts.blocks,
		pinned: false,
		inUse: held.has(parts.whole),
		usedAt: parts.usedAt,
		from: sourcesOf(parts.from, parts.storedBytes),
	};
}

function sourcesOf(from: Readonly<Record<string, number>>, bytes: number): KeptSource[] {
	const sources = Object.entries(from).map(
		([name, given]): KeptSource => ({ kind: name.includes("://") ? "web" : "peer", name, bytes: given }),
	);
	const known = sources.reduce((sum, source) => sum + source.bytes, 0);
	if (known < bytes) sources.push({ kind: "unknown", name: "", bytes: bytes - known });
	return sources.sort((a, b) => b.bytes - a.bytes);
}
