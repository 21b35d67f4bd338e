import { createPrivateKey, createPublicKey, randomUUID } from "node:crypto";
import { type FileHandle, link, mkdir, open, unlink } from "node:fs/promises";
import { dirname } from "node:path";
import { KeyStorageError } from "@tabmesh/wire";
import { createIdentity } from "./createIdentity.ts";
import type { PeerIdentity } from "./identity.ts";
import { identityOf } from "./signingIdentity.ts";
import type { SigningKey } from "./signingKey.ts";

/** Where the key of this device is kept. */
export interface OpenIdentityOptions {
	/** Node: the key file (PKCS #8 PEM, RFC 8410), made with mode 0600 when missing; without it the key lives in memory. Pages ignore it. */
	file?: string;
}

// A PKCS #8 PEM of an Ed25519 key has 119 bytes; whatever is much longer is some other file.
const longestKeyFile = 4096;

/**
 * The identity of this device, the same at every start.
 *
 * In Node it is the key file's; two processes on one file are one peer, so give each its own. In a page, every live
 * page takes the lowest free of this origin's numbered key slots and holds it under a Web Lock, so two tabs are two
 * peers and a reload gets its key back; where the browser keeps nothing for us, the key lives in memory and
 * `persistent` is false.
 *
 * @throws KeyStorageError when the file is broken, readable by others, or cannot be made
 */
export async function openIdentity(options: OpenIdentityOptions = {}): Promise<PeerIdentity> {
	if (options.file === undefined) return createIdentity();
	const pem = (await readKeyFile(options.file)) ?? (await createKeyFile(options.file));
	return identityOf(await importKey(pem, options.file), { persistent: true });
}

async function readKeyFile(file: string): Promise<string | undefined> {
	let handle: FileHandle;
	try {
		handle = await open(file, "r");
	} catch (cause) {
		if ((cause as NodeJS.ErrnoException).code === "ENOENT") return undefined;
		throw new KeyStorageError(`The key file ${file} cannot be read.`, { cause });
	}
	try {
		const { mode, size } = await handle.stat();
		// Windows has no such bits and reports 0666 for everything.
		if (process.platform !== "win32" && (mode & 0o077) !== 0) {
			throw new KeyStorageError(`The key file ${file} can be read by others.`, {
				metaMessages: [`Run: chmod 600 ${file}`],
			});
		}
		if (size > longestKeyFile) throw brokenFile(file);
		return await handle.readFile("utf8");
	} catch (cause) {
		if (cause instanceof KeyStorageError) throw cause;
		throw new KeyStorageError(`The key file ${file} cannot be read.`, { cause });
	} finally {
		await handle.close();
	}
}

async function createKeyFile(file: string): Promise<string> {
	const pair = (await crypto.subtle.generateKey("Ed25519", true, ["sign", "verify"])) as CryptoKeyPair;
	const der = Buffer.from(await crypto.subtle.exportKey("pkcs8", pair.privateKey));
	const pem = `-----BEGIN PRIVATE KEY-----\n${der.toString("base64")}\n-----END PRIVATE KEY-----\n`;
	const draft = `${file}.${randomUUID()}`;
	try {
		await mkdir(dirname(file), { recursive: true, mode: 0o700 });
		const handle = await open(draft, "wx", 0o600);
		try {
			await handle.writeFile(pem);
			await handle.sync();
		} finally {
			await handle.close();
		}
		// A link, unlike a rename, never replaces: of two processes that start together, both use the first one's key.
		await link(draft, file);
		return pem;
	} catch (cause) {
		if ((cause as NodeJS.ErrnoException).code === "EEXIST") {
			const existing = await readKeyFile(file);
			if (existing !== undefined) return existing;
		}
		throw new KeyStorageError(`The key file ${file} cannot be made.`, {
			cause,
			metaMessages: ["Choose a folder that this user may write to."],
		});
	} finally {
		await unlink(draft).catch(() => {});
	}
}

async function importKey(pem: string, file: string): Promise<SigningKey> {
	try {
		const key = createPrivateKey(pem);
		if (key.asymmetricKeyType !== "ed25519") throw brokenFile(file);
		const { x } = createPublicKey(key).export({ format: "jwk" });
		return {
			publicKey: new Uint8Array(Buffer.from(x ?? "", "base64url")),
			secret: await crypto.subtle.importKey(
				"pkcs8",
				new Uint8Array(key.export({ format: "der", type: "pkcs8" })),
				"Ed25519",
				false,
				["sign"],
			),
		};
	} catch (cause) {
		throw cause instanceof KeyStorageError ? cause : brokenFile(file, cause);
	}
}

function brokenFile(file: string, cause?: unknown): KeyStorageError {
	return new KeyStorageError(`The key file ${file} does not hold an Ed25519 key.`, {
		cause,
		metaMessages: ["Move it away to start with a new key, or put a copy of the right one in its place."],
	});
}
