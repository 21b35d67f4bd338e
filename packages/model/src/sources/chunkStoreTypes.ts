/**
 * Keeps verified bytes on this device from one visit to the next. A record is up to 32 chunks of one tensor, keyed by what the
 * manifest says about them; whoever reads a record checks it again.
 */
export interface ChunkStore {
	get(key: string): Promise<Uint8Array<ArrayBuffer> | undefined>;
	/** @throws StorageQuotaError when the device has no room left */
	put(key: string, bytes: Uint8Array<ArrayBuffer>): Promise<void>;
	delete(key: string): Promise<void>;
	/** Forgets everything. */
	clear(): Promise<void>;
	close(): Promise<void>;
}
