import * as dagPb from "@ipld/dag-pb";
import { FileFormatError } from "@tabmesh/wire";
import { UnixFS } from "ipfs-unixfs";
import type { CID } from "multiformats/cid";
import * as raw from "multiformats/codecs/raw";
import { blockLimits } from "./blockLimits.ts";
import { decodeCid } from "./cid.ts";

/** One block of a file, read: bytes of the file, then what its links say they hold. */
export interface FileNode {
	/** Bytes of the file in this node and below it. */
	readonly size: number;
	readonly data: Uint8Array;
	readonly children: readonly { readonly cid: CID; readonly size: number }[];
}

const none = new Uint8Array(0);

/**
 * Reads a block of a UnixFS file (the UnixFS 1.5 specification), whatever tool wrote it. The block's hash must have been checked.
 *
 * @param bytes - the whole block
 * @throws FileFormatError when it is a directory, a symbolic link, or its numbers do not add up
 */
export function parseFileNode(cid: CID, bytes: Uint8Array): FileNode {
	if (bytes.byteLength > blockLimits.blockBytes) throw broken(cid, "a block is too long");
	if (cid.code === raw.code) return { size: bytes.byteLength, data: bytes, children: [] };
	let node: dagPb.PBNode;
	let unixfs: UnixFS;
	try {
		node = dagPb.decode(bytes);
		unixfs = UnixFS.unmarshal(node.Data ?? none);
	} catch (cause) {
		throw broken(cid, "a block is neither raw nor UnixFS", cause);
	}
	if (node.Data === undefined || (unixfs.type !== "file" && unixfs.type !== "raw")) {
		throw broken(cid, `it is a ${unixfs.type} and not a file`);
	}
	if (node.Links.length !== unixfs.blockSizes.length || node.Links.length > blockLimits.linksRead) {
		throw broken(cid, "a node does not give one size for each link");
	}
	const data = unixfs.data ?? none;
	let size = data.byteLength;
	const children = node.Links.map((link, i) => {
		const childSize = Number(unixfs.blockSizes[i]);
		// Links that hold nothing would let a small tree of nothing be walked for ever.
		if (!Number.isSafeInteger(childSize) || childSize < 1) throw broken(cid, "a link holds no bytes");
		size += childSize;
		const child = decodeCid(link.Hash.bytes);
		if (child.code === raw.code && childSize > blockLimits.blockBytes)
			throw broken(cid, "a block is too long");
		return { cid: child, size: childSize };
	});
	if (!Number.isSafeInteger(size)) throw broken(cid, "it claims to be larger than any file");
	return { size, data, children };
}

function broken(cid: CID, why: string, cause?: unknown): FileFormatError {
	return new FileFormatError(`${cid} is no file that can be read: ${why}.`, {
		cause,
		details: { cid: cid.toString() },
	});
}
