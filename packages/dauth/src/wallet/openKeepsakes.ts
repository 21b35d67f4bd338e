import { randomUUID } from "node:crypto";
import { existsSync } from "node:fs";
import { type FileHandle, link, mkdir, open, rename, unlink } from "node:fs/promises";
import { join } from "node:path";
import { InvalidParameterError, KeyStorageError, limits } from "@tabmesh/wire";
import type { Keepsakes, OpenKeepsakesOptions } from "./keepsakes.ts";
import { createMemoryKeepsakes } from "./memoryKeepsakes.ts";

// The largest thing kept here is a signed delegation.
const longestFile = limits.delegationBytes;

/** Whether anything was ever kept here. Looks only: whoever never had a wallet gets not even an empty place for one. */
export async function keepsakesExist({ folder }: OpenKeepsakesOptions = {}): Promise<boolean> {
	return folder !== undefined && existsSync(folder);
}

/**
 * The keepsakes of this device. In Node, files of mode 0600 in a folder of mode 0700; in a page, IndexedDB, or memory
 * where the browser keeps nothing for us (`persistent` is false then).
 */
export async function openKeepsakes(options: OpenKeepsakesOptions = {}): Promise<Keepsakes> {
	const { folder } = options;
	if (folder === undefined) return createMemoryKeepsakes();
	const fileOf = (name: string): string => {
		if (!/^[a-z0-9-]{1,128}$/.test(name)) throw new InvalidParameterError("This is no keepsake's name.");
		return join(folder, `${name}.cbor`);
	};

	/** Puts `bytes` at `file` at once or not at all; `put` decides what happens when something is there. */
	const place = async (file: string, bytes: Uint8Array, put: typeof link): Promise<void> => {
		const draft = `${file}.${randomUUID()}`;
		try {
			await mkdir(folder, { recursive: true, mode: 0o700 });
			const handle = await open(draft, "wx", 0o600);
			try {
				await handle.writeFile(bytes);
				await handle.sync();
			} finally {
				await handle.close();
			}
			await put(draft, file);
		} finally {
			await unlink(draft).catch(() => {});
		}
	};
	const cannotKeep = (file: string, cause: unknown): KeyStorageError =>
		new KeyStorageError(`The file ${file} cannot be made.`, {
			cause,
			metaMessages: ["Choose a folder that this user may write to."],
		});

	return {
		persistent: true,
		read: (name) => readFile(fileOf(name)),
		async create(name, bytes) {
			const file = fileOf(name);
			try {
				// A link, unlike a rename, never replaces.
				await place(file, bytes, link);
				return true;
			} catch (cause) {
				if ((cause as NodeJS.ErrnoException).code === "EEXIST") return false;
				throw cannotKeep(file, cause);
			}
		},
		async write(name, bytes) {
			const file = fileOf(name);
			try {
				await place(file, bytes, rename);
			} catch (cause) {
				throw cannotKeep(file, cause);
			}
		},
		async remove(name) {
			const file = fileOf(name);
			try {
				await unlink(file);
			} catch (cause) {
				if ((cause as NodeJS.ErrnoException).code === "ENOENT") return;
				throw new KeyStorageError(`The file ${file} cannot be removed.`, { cause });
			}
		},
		deviceKey: async () => undefined,
	};
}

async function readFile(file: string): Promise<Uint8Array | undefined> {
	let handle: FileHandle;
	try {
		handle = await open(file, "r");
	} catch (cause) {
		if ((cause as NodeJS.ErrnoException).code === "ENOENT") return undefined;
		throw new KeyStorageError(`The file ${file} cannot be read.`, { cause });
	}
	try {
		const { mode, size } = await handle.stat();
		// Windows has no such bits and reports 0666 for everything.
		if (process.platform !== "win32" && (mode & 0o077) !== 0) {
			throw new KeyStorageError(`The file ${file} can be read by others.`, {
				metaMessages: [`Run: chmod 600 ${file}`],
			});
		}
		if (size > longestFile) {
			throw new KeyStorageError(`The file ${file} is not one of ours.`, {
				metaMessages: ["Move it away."],
			});
		}
		return new Uint8Array(await handle.readFile());
	} catch (cause) {
		if (cause instanceof KeyStorageError) throw cause;
		throw new KeyStorageError(`The file ${file} cannot be read.`, { cause });
	} finally {
		await handle.close();
	}
}
