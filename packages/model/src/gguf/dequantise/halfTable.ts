import { halfToFloat32 } from "@tabmesh/wire";

let table: Float32Array | undefined;

/** The value of each of the 65,536 binary16 numbers: one load instead of bit arithmetic per block. Made when first needed, 256 KB. */
export function halfTable(): Float32Array {
	table ??= halfToFloat32(new Uint8Array(Uint16Array.from({ length: 65_536 }, (_, half) => half).buffer));
	return table;
}
