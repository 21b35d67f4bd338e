/** For tests that compare with llama.cpp: a part of its own, because it loads native libraries. */
export { loadGgml } from "../gguf/testing/ggml.ts";
export { loadLlamaCpp } from "../gguf/testing/llamaCpp.ts";
export { type TinyGgufOptions, tinyGgufFile } from "../gguf/testing/tinyGguf.ts";
export { type TinyVocabulary, tinyByteLevel, tinySentencePiece } from "../gguf/testing/tinyVocabulary.ts";
export { openTinyHubModel } from "../huggingface/testing/openTinyHubModel.ts";
