import { existsSync, readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import koffi from "koffi";
import { blockLayout, type WeightType } from "../blockLayout.ts";
import { ggmlTypeNumber } from "../ggmlTypes.ts";

/** For tests: the library that llama.cpp itself quantises with, out of node-llama-cpp's prebuilt binaries. */
export interface Ggml {
	/** What ggml makes of whole blocks. */
	dequantise(type: WeightType, bytes: Uint8Array, elements: number): Float32Array<ArrayBuffer>;
	/** What ggml makes of numbers; rows are whole blocks. */
	quantise(type: WeightType, values: Float32Array, rowElements: number): Uint8Array<ArrayBuffer>;
}

const names: Partial<Record<WeightType, string>> = {
	Q2_K: "q2_K",
	Q3_K: "q3_K",
	Q4_K: "q4_K",
	Q5_K: "q5_K",
	Q6_K: "q6_K",
};

/** Loads ggml, or says why it cannot. */
export function loadGgml(): Ggml {
	const library = koffi.load(findLibrary());
	const quantiseChunk = library.func(
		"size_t ggml_quantize_chunk(int type, const float* src, void* dst, int64_t start, int64_t rows, int64_t columns, const float* importance)",
	);
	return {
		dequantise(type, bytes, elements) {
			const out = new Float32Array(elements);
			library.func(
				`void dequantize_row_${names[type] ?? type.toLowerCase()}(const void* x, float* y, int64_t k)`,
			)(bytes, out, elements);
			return out;
		},
		quantise(type, values, rowElements) {
			const { blockElements, blockBytes } = blockLayout(type);
			const out = new Uint8Array((values.length / blockElements) * blockBytes);
			// IQ2 formats refuse to work without an importance of every column; others search for better scales when they get one.
			const importance = type.startsWith("IQ2") ? new Float32Array(rowElements).fill(1) : null;
			quantiseChunk(
				ggmlTypeNumber(type),
				values,
				out,
				0,
				values.length / rowElements,
				rowElements,
				importance,
			);
			return out;
		},
	};
}

function findLibrary(): string {
	const root = join(dirname(fileURLToPath(import.meta.resolve("node-llama-cpp"))), "../../@node-llama-cpp");
	const platform =
		{ linux: "linux", darwin: "mac", win32: "win" }[process.platform as string] ?? process.platform;
	for (const name of readdirSync(root).sort()) {
		if (!name.startsWith(`${platform}-${process.arch}`)) continue;
		for (const file of ["libggml-base.so", "libggml-base.dylib", "ggml-base.dll"]) {
			const path = join(root, name, "bins", name, file);
			if (existsSync(path)) return path;
		}
	}
	throw new Error(`node-llama-cpp has no prebuilt ggml for ${process.platform}-${process.arch}`);
}
