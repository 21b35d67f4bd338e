import { FileFormatError } from "@tabmesh/wire";
import type { CID } from "multiformats/cid";
import * as raw from "multiformats/codecs/raw";
import { blockLimits } from "./blockLimits.ts";
import { parseFileNode } from "./fileTree.ts";

/** A block to get, and where in the file its bytes lie if that is known before it is here. */
export interface Want {
	readonly cid: CID;
	/** Offset in the file of a leaf of raw bytes; undefined for the tree's own nodes. */
	readonly offset?: number;
	/** Bytes of a leaf of raw bytes. */
	readonly size?: number;
}

/** Gives a block with the right hash, from here or elsewhere. */
export type GetBlock = (want: Want) => Promise<Uint8Array>;

export interface ByteRange {
	/** First byte. @default 0 */
	start?: number;
	/** Byte behind the last. @default the file's size */
	end?: number;
}

export interface ReadFileOptions {
	/** Bytes that may be under way or waiting for the reader. */
	windowBytes: number;
	range?: ByteRange;
	signal?: AbortSignal;
	/** Told once, before the first byte. */
	onSize?: (size: number) => void;
}

interface Piece {
	/** Bytes counted against the window until the piece is taken. */
	cost: number;
	bytes: Promise<Uint8Array>;
}

// Files of other tools may have leaves of a few bytes: no more of them are under way than this, whatever the window.
const piecesAhead = 512;

// Nodes of the tree that are fetched ahead of the walk: those of our own files come two to the gigabyte.
const nodesAhead = 4;

/**
 * The bytes of a UnixFS file in order. Leaves are fetched ahead as far as the window allows, so a reader that pauses holds
 * the window and nothing more.
 *
 * @throws FileFormatError when blocks that have the right hashes do not make up a file; whatever `getBlock` throws
 */
export async function* readFile(
	root: CID,
	getBlock: GetBlock,
	options: ReadFileOptions,
): AsyncGenerator<Uint8Array, void, undefined> {
	const walk = walkLeaves(root, getBlock, options);
	const pieces: Piece[] = [];
	let underWay = 0;
	let walked = false;
	try {
		while (true) {
			while (
				!walked &&
				(pieces.length === 0 || (underWay < options.windowBytes && pieces.length < piecesAhead))
			) {
				const next = await walk.next();
				if (next.done) {
					walked = true;
					break;
				}
				const { cost, bytes } = next.value;
				// Its failure is met when its turn comes.
				bytes.catch(() => {});
				pieces.push({ cost, bytes });
				underWay += cost;
			}
			const piece = pieces.shift();
			if (!piece) return;
			options.signal?.throwIfAborted();
			const bytes = await piece.bytes;
			underWay -= piece.cost;
			if (bytes.byteLength > 0) yield bytes;
		}
	} finally {
		await walk.return();
	}
}

async function* walkLeaves(
	root: CID,
	getBlock: GetBlock,
	options: ReadFileOptions,
): AsyncGenerator<Piece, void, undefined> {
	const { range = {}, signal } = options;
	const rootBlock = await getBlock({ cid: root, ...(root.code === raw.code ? { offset: 0 } : {}) });
	const rootNode = parseFileNode(root, rootBlock);
	options.onSize?.(rootNode.size);
	const start = Math.max(0, Math.min(range.start ?? 0, rootNode.size));
	const end = Math.max(start, Math.min(range.end ?? rootNode.size, rootNode.size));

	function cut(bytes: Uint8Array, at: number): Uint8Array {
		return bytes.subarray(Math.max(0, start - at), Math.max(0, Math.min(bytes.byteLength, end - at)));
	}

	async function* below(
		node: ReturnType<typeof parseFileNode>,
		at: number,
		depth: number,
	): AsyncGenerator<Piece> {
		if (depth > blockLimits.treeDepth) {
			throw new FileFormatError(`The tree of ${root} is too deep.`, { details: { cid: root.toString() } });
		}
		if (node.data.byteLength > 0 && at < end && at + node.data.byteLength > start) {
			yield { cost: node.data.byteLength, bytes: Promise.resolve(cut(node.data, at)) };
		}
		let offset = at + node.data.byteLength;
		const children = node.children
			.map(({ cid, size }) => {
				const child = { cid, size, offset, block: undefined as Promise<Uint8Array> | undefined };
				offset += size;
				return child;
			})
			.filter((child) => child.offset < end && child.offset + child.size > start);
		for (const [i, child] of children.entries()) {
			signal?.throwIfAborted();
			if (child.cid.code === raw.code) {
				const bytes = getBlock({ cid: child.cid, offset: child.offset, size: child.size }).then((block) => {
					if (block.byteLength !== child.size) throw lies(root, child.size, block.byteLength);
					return cut(block, child.offset);
				});
				yield { cost: child.size, bytes };
				continue;
			}
			for (const ahead of children.slice(i, i + nodesAhead)) {
				if (ahead.block || ahead.cid.code === raw.code) continue;
				ahead.block = getBlock({ cid: ahead.cid });
				ahead.block.catch(() => {});
			}
			const childNode = parseFileNode(child.cid, await child.block!);
			child.block = undefined;
			if (childNode.size !== child.size) throw lies(root, child.size, childNode.size);
			yield* below(childNode, child.offset, depth + 1);
		}
	}

	yield* below(rootNode, 0, 0);
}

function lies(root: CID, claimedBytes: number, bytes: number): FileFormatError {
	return new FileFormatError(
		`${root} lies about its size: ${claimedBytes} bytes are claimed where ${bytes} are.`,
		{
			details: { cid: root.toString(), claimedBytes, bytes },
		},
	);
}
