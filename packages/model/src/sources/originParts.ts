import { type Origin, ShardIntegrityError, type TensorEntry } from "@tabmesh/wire";
import type { ModelRef } from "../shardSource.ts";
import type { RangeRequest } from "./fetchRange.ts";

/**
 * Where an origin has bytes `[offset, offset + length)` of a tensor: parts of files, one behind the other.
 *
 * @param base - what a relative address of the origin stands on
 * @throws ShardIntegrityError when the origin does not describe the tensor as the model has it
 */
export function originParts(
	model: ModelRef,
	tensor: TensorEntry,
	origin: Origin,
	wanted: { offset: number; length: number },
	base?: string | URL,
): RangeRequest[] {
	const broken = () =>
		new ShardIntegrityError(`An origin does not describe ${tensor.name} as the model has it.`);
	const ranges = origin.ranges[model.manifest.tensors.findIndex(({ name }) => name === tensor.name)] ?? [];
	if (ranges.reduce((sum, [, , length]) => sum + length, 0) !== tensor.bytes) throw broken();
	const requests: RangeRequest[] = [];
	let start = 0;
	for (const [file, offset, length] of ranges) {
		const from = Math.max(wanted.offset, start);
		const to = Math.min(wanted.offset + wanted.length, start + length);
		if (from < to) {
			const name = origin.files[file];
			if (name === undefined) throw broken();
			requests.push({ url: addressOf(name, origin, base), offset: offset + from - start, length: to - from });
		}
		start += length;
	}
	return requests;
}

function addressOf(file: string, origin: Origin, base: string | URL | undefined): string {
	try {
		const url = new URL(file, new URL(origin.baseUrl, base));
		if (url.protocol === "https:" || url.protocol === "http:") return url.href;
	} catch {
		// The error below says it in our words.
	}
	throw new ShardIntegrityError("An origin's address is not one of HTTP.");
}
