import { getLlama, LlamaLogLevel, type LlamaModel, type Token } from "node-llama-cpp";

/** What the process is asked, one question at a time; the model that was loaded last answers. */
export type LlamaCppQuestion =
	| { readonly load: string }
	| { readonly tokenize: string; readonly specialTokens: boolean }
	| { readonly logits: readonly number[] }
	| { readonly dispose: true };

export interface LlamaCppAnswer {
	readonly result?: number[] | Float32Array[];
	readonly error?: string;
}

const llama = await getLlama({
	gpu: false,
	build: "never",
	skipDownload: true,
	logLevel: LlamaLogLevel.disabled,
});
let model: LlamaModel | undefined;

async function answer(question: LlamaCppQuestion): Promise<LlamaCppAnswer["result"]> {
	if ("load" in question) {
		model = await llama.loadModel({ modelPath: question.load, useMmap: false });
		return;
	}
	if (!model) throw new Error("No model is loaded.");
	if ("tokenize" in question) return model.tokenize(question.tokenize, question.specialTokens);
	if ("logits" in question) return logitsOf(model, question.logits);
	await model.dispose();
	model = undefined;
}

async function logitsOf(loaded: LlamaModel, tokens: readonly number[]): Promise<Float32Array[]> {
	const context = await loaded.createContext({
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
}

process.on("message", (question: LlamaCppQuestion) => {
	void answer(question).then(
		(result) => process.send!({ result }),
		(error: unknown) => process.send!({ error: String(error) }),
	);
});
process.on("disconnect", () => process.exit());
