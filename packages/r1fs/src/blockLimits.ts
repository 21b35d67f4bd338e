const KiB = 1024;
const MiB = 1024 * KiB;

/** What R1FS bounds, each number beside its reason. */
export const blockLimits = {
	/** Largest block: what every IPFS implementation takes from strangers. Ours have 1 MiB, and 60 KiB for 1,024 links. */
	blockBytes: 2 * MiB,
	/** Bytes of a file in one leaf: the `unixfs-v1-2025` profile (IPIP-499). */
	leafBytes: MiB,
	/** Links of one node that we write (IPIP-499). */
	linksWritten: 1024,
	/** Links of one node that we read: what fits into a block at the 40 bytes of the shortest link. */
	linksRead: 52_428,
	/** Levels of a file's tree: 174 links, the fewest in use, and leaves of 256 KiB reach 1.3 PB in five. */
	treeDepth: 8,
	/** Blocks of one file that can be kept: 1 TiB at our leaf size. */
	fileBlocks: 1_048_576,
	/** Bytes that `bytes()` and `json()` gather unless told otherwise: a tab has a gigabyte or two in all. */
	gatheredBytes: 256 * MiB,
	/** Length of a file's name in UTF-16 units: what file systems take. */
	nameLength: 255,
	/** Length of what a source or a whole is known by: an address on the web with its path. */
	sourceLength: 2048,
} as const;
