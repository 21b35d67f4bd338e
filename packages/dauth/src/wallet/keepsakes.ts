/**
 * A few small things that this device keeps for its owner: the embedded wallet, and the delegations it signed.
 * Names are of `[a-z0-9-]`.
 */
export interface Keepsakes {
	/** Whether they are here after a restart. */
	readonly persistent: boolean;
	/** @throws KeyStorageError */
	read(name: string): Promise<Uint8Array | undefined>;
	/**
	 * Keeps `bytes` unless something of this name is there; of several that try at once, one succeeds.
	 *
	 * @returns whether it was this call
	 * @throws KeyStorageError
	 */
	create(name: string, bytes: Uint8Array): Promise<boolean>;
	/** @throws KeyStorageError */
	write(name: string, bytes: Uint8Array): Promise<void>;
	/** @throws KeyStorageError */
	remove(name: string): Promise<void>;
	/** An AES-GCM key that only this device can use and nobody can read; undefined where the platform has none. */
	deviceKey(): Promise<CryptoKey | undefined>;
}

/** Where the keepsakes of this device lie. */
export interface OpenKeepsakesOptions {
	/** Node: a folder, its files made with mode 0600; without it they live in memory. Pages ignore it. */
	folder?: string;
}
