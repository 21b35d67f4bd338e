/**
 * R1FS: files by content address. Gives `createR1fs` (add, get, pin, list, remove), `openBlockStore` (IndexedDB in a
 * page, a folder in Node, within the bytes that the user allows), and links that carry the key of an encrypted file.
 * CIDs are those of the `unixfs-v1-2025` profile (IPIP-499), so any IPFS tool computes the same ones.
 *
 * This room never gives out a byte that does not have its hash, never sends blocks over a relayed connection, and does
 * not know who has what: providers are handed in.
 */
export { type OpenBlockStoreOptions, openBlockStore } from "#openBlockStore";
export { announcedProviders } from "./announcedProviders.ts";
export { blockLimits } from "./blockLimits.ts";
export type {
	BlockStore,
	Degradation,
	FileRecord,
	KeptParts,
	StorageUsage,
	Survey,
	WholeDescription,
} from "./blockStore.ts";
export type { JsonValue } from "./canonicalJson.ts";
export { type CreateR1fsInit, createR1fs } from "./createR1fs.ts";
export type { SourceView } from "./exchange/fetchSession.ts";
export type { HttpOrigin, HttpPart } from "./exchange/httpSource.ts";
export type { FileInput } from "./fileInput.ts";
export { type FileLink, formatFileLink, parseFileLink } from "./fileLink.ts";
export type { Provider, Providers } from "./providers.ts";
export type {
	AddedFile,
	AddOptions,
	AddProgress,
	BlockPlace,
	BlockReading,
	FetchOptions,
	FileReading,
	GetOptions,
	GetProgress,
	OpenBlocksOptions,
	R1fs,
	R1fsEvents,
} from "./r1fs.ts";
export type { ByteRange } from "./readFile.ts";
export type { SealedFileKey } from "./sealedKey.ts";
export { type SwarmProvidersInit, swarmProviders } from "./swarmProviders.ts";
