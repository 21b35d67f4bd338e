import { type ChildProcess, fork } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { LlamaCppAnswer, LlamaCppQuestion } from "./llamaCppProcess.ts";

/** For tests: a model in llama.cpp, which shares no code with Tabmesh. */
export interface LlamaCppModel extends AsyncDisposable {
	tokenize(text: string, specialTokens: boolean): Promise<number[]>;
	/** Logits after each of the tokens, `[tokens][vocabulary]`. */
	logits(tokens: readonly number[]): Promise<Float32Array[]>;
}

/** One for all tests of a process, and none of it: two native run times in one process were seen to end it with a signal. */
let llama: ChildProcess | undefined;

/** Loads a GGUF into llama.cpp: prebuilt, on the CPU, never compiled or downloaded. */
export async function loadLlamaCpp(gguf: Uint8Array | string): Promise<LlamaCppModel> {
	const folder = typeof gguf === "string" ? undefined : await mkdtemp(join(tmpdir(), "tabmesh-gguf-"));
	const path = folder ? join(folder, "model.gguf") : (gguf as string);
	if (folder) await writeFile(path, gguf);
	try {
		await ask({ load: path });
	} finally {
		if (folder) await rm(folder, { recursive: true });
	}
	return {
		tokenize: async (text, specialTokens) => (await ask({ tokenize: text, specialTokens })) as number[],
		logits: async (tokens) => (await ask({ logits: tokens })) as Float32Array[],
		[Symbol.asyncDispose]: async () => void (await ask({ dispose: true })),
	};
}

/** One question at a time. */
function ask(question: LlamaCppQuestion): Promise<LlamaCppAnswer["result"]> {
	llama ??= fork(fileURLToPath(new URL("./llamaCppProcess.ts", import.meta.url)), {
		serialization: "advanced",
		execArgv: [],
	});
	const asked = llama;
	return new Promise((resolve, reject) => {
		const settle = (): void => {
			asked.off("message", answered);
			asked.off("exit", died);
		};
		const answered = (answer: LlamaCppAnswer): void => {
			settle();
			if (answer.error === undefined) resolve(answer.result);
			else reject(new Error(answer.error));
		};
		const died = (code: number | null, signal: string | null): void => {
			settle();
			llama = undefined;
			reject(new Error(`llama.cpp ended with ${signal ?? code}.`));
		};
		asked.on("message", answered);
		asked.on("exit", died);
		asked.send(question);
	});
}
