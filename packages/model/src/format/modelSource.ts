import type { ModelConfig, SourceType } from "@tabmesh/wire";
import type { SourceFile } from "./sourceFile.ts";

/** Where one tensor lies: `[index of the file, offset, length]`. */
export type SourceRange = readonly [file: number, offset: number, length: number];

/** One tensor of a model file under its Hugging Face name. */
export interface SourceTensor {
	readonly name: string;
	readonly type: SourceType;
	/** Row-major, `[out, in]` for a projection. */
	readonly shape: readonly number[];
	/** One behind the other, they are its bytes. */
	readonly ranges: readonly SourceRange[];
}

/** A model as its file has it: parsed and checked, its weights not yet read. What `publishModel` turns into a manifest. */
export interface ModelSource {
	readonly config: ModelConfig;
	readonly boundary: "f16" | "f32";
	readonly tokenizer: {
		readonly bos?: number;
		readonly eos: readonly number[];
		readonly chatTemplate?: string;
	};
	readonly files: readonly SourceFile[];
	/** Files that had to be made because the source has them in another form (`tokenizer.json`); they stand in `files` too. */
	readonly derived: readonly { readonly name: string; readonly content: Uint8Array<ArrayBuffer> }[];
	readonly tensors: readonly SourceTensor[];
}
