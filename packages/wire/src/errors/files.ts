import { TabmeshError } from "./base.ts";

/** Thrown when a text or bytes are no content address that Tabmesh reads: a CID of raw or dag-pb bytes with SHA-256. */
export class InvalidCidError extends TabmeshError {
	override name = "InvalidCidError";
	override readonly code = "InvalidCid";
}

/** Thrown when bytes do not have the hash they are addressed by. */
export class BlockIntegrityError extends TabmeshError {
	override name = "BlockIntegrityError";
	override readonly code = "BlockIntegrity";
}

/** Thrown when the blocks of a file are what their hashes say, but do not make up a file: a size that lies, a directory, too deep a tree. */
export class FileFormatError extends TabmeshError {
	override name = "FileFormatError";
	override readonly code = "FileFormat";
}

/** Thrown when no source that is here has a file or one of its blocks. */
export class FileNotFoundError extends TabmeshError {
	override name = "FileNotFoundError";
	override readonly code = "FileNotFound";
}

/** Thrown when what is in use now, by this tab or another one of this device, is to be removed. */
export class StorageInUseError extends TabmeshError {
	override name = "StorageInUseError";
	override readonly code = "StorageInUse";
}

/** Thrown when an encrypted file or message cannot be opened: another key, changed bytes, or a missing end. */
export class DecryptionError extends TabmeshError {
	override name = "DecryptionError";
	override readonly code = "Decryption";
}
