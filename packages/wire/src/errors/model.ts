import { TabmeshError } from "./base.ts";

/** Thrown when a model file is corrupt, cut short, or not of a format that Tabmesh reads. */
export class ModelFileError extends TabmeshError {
	override name = "ModelFileError";
	override readonly code = "ModelFile";
}

/** Thrown when no model answers to the given name, path, URL or id. */
export class ModelNotFoundError extends TabmeshError {
	override name = "ModelNotFoundError";
	override readonly code = "ModelNotFound";
}

/** Thrown when bytes of a shard do not have the hash that the manifest gives. */
export class ShardIntegrityError extends TabmeshError {
	override name = "ShardIntegrityError";
	override readonly code = "ShardIntegrity";
}

/** Thrown when a shard or model file cannot be fetched from any of its origins. */
export class ModelSourceError extends TabmeshError {
	override name = "ModelSourceError";
	override readonly code = "ModelSource";
}

/** Thrown when this device has no room left for a shard. */
export class StorageQuotaError extends TabmeshError {
	override name = "StorageQuotaError";
	override readonly code = "StorageQuota";
}

/** Thrown when a tokenizer is broken, or a token id lies outside its vocabulary. */
export class TokenizerError extends TabmeshError {
	override name = "TokenizerError";
	override readonly code = "Tokenizer";
}
