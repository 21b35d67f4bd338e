import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { getLlama, type Llama, LlamaLogLevel, type Token } from "node-llama-cpp";

/** For tests: a model in llama.cpp, which shares no code with Tabmesh. */
export interface LlamaCppModel extends AsyncDisposable {
	tokenize(text: string, specialTokens: boolean): number[];
	/** Logits after each of the tokens, `[tokens][vocabulary]`. */
	logits(tokens: readonly number[]): Promise<Float32Array[]>;
}

let llama: Promise<Llama> | undefined;

/** Loads a GGUF into llama.cpp: prebuilt, on the CPU, never compiled or downloaded. */
export async function loadLlamaCpp(gguf: Uint8Array | string): Promise<LlamaCppModel> {
	llama ??= getLlama({ gpu: false, build: "never", skipDownload: true, logLevel: LlamaLogLevel.disabled });
	const folder = typeof gguf === "string" ? undefined : await mkdtemp(join(tmpdir(), "tabmesh-gguf-"));
	const path = folder ? join(folder, "model.gguf") : (gguf as string);
	if (folder) await writeFile(path, gguf);
	const model = await (await llama).loadModel({ modelPath: path, useMmap: false });
	if (folder) await rm(folder, { recursive: true });
	return {
		tokenize: (text, specialTokens) => model.tokenize(text, specialTokens),
		async logits(tokens) {
			const context = await model.createContext({
				contextSize: 256,
				sequences: 1,
				threads: 1,
				flashAttention: false,
			});
			try {
				const outputs = await context
					.getSequence()
					.controlledEvaluate(tokens.map((token) => [token as Token, { generateNext: { logits: true } }]));
				return outputs.map((output) => {
					const row = new Float32Array(output?.next.logits?.size ?? 0);
					for (const [token, logit] of output?.next.logits ?? []) row[token] = logit;
					return row;
				});
			} finally {
				await context.dispose();
			}
		},
		[Symbol.asyncDispose]: () => model.dispose(),
	};
}
