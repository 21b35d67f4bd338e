import { embed } from "@tabmesh/pipeline";
import { EmptyPromptError, InvalidParameterError } from "@tabmesh/wire";
import { apartOf } from "./apartOf.ts";
import { tokenizerOf } from "./modelTokenizer.ts";
import type { Embedding, EmbedOptions } from "./tabmesh.ts";
import type { GenerationNetwork } from "./textGeneration.ts";

/** One text through the whole model: see `Tabmesh.embed`. */
export async function embedText(network: GenerationNetwork, options: EmbedOptions): Promise<Embedding> {
	const { apart, dimensions, signal, text, tokens } = options;
	if ((text === undefined) === (tokens === undefined)) {
		throw new InvalidParameterError("Exactly one of text and tokens is needed.");
	}
	if (text === "" || tokens?.length === 0) throw new EmptyPromptError("An empty text has no embedding.");
	const model = await network.model(options.model);
	const { config, tokenizer: special } = model.manifest;
	if (dimensions !== undefined && dimensions !== config.hiddenSize) {
		throw new InvalidParameterError(
			`The vectors of this model have ${config.hiddenSize} numbers, all of which are needed.`,
			{ details: { param: "dimensions" } },
		);
	}
	const promptTokens = tokens
		? [...tokens]
		: (await tokenizerOf(model, network.source(model))).encodePrompt(text!);
	// What begins every text, and says nothing of this one.
	const embedFrom = promptTokens[0] === special.bos && promptTokens.length > 1 ? 1 : 0;
	const { capability, chainId, directory, experience, minStages, ownPart, peer, room, signer } = network;
	const own = options.private ? await ownPart.take(model, signal ? { signal } : {}) : undefined;
	try {
		const { mean } = await embed({
			...(own ? { ends: own.ends } : {}),
			...(apart === undefined ? {} : { apart: await apartOf(apart) }),
			...(capability === undefined ? {} : { capability }),
			...(signal ? { signal } : {}),
			peer,
			signer,
			directory,
			room,
			chainId,
			model,
			promptTokens,
			embedFrom,
			minStages: options.minStages ?? minStages,
			experience,
		});
		const length = Math.sqrt(mean.reduce((sum, value) => sum + value * value, 0));
		return {
			model: model.id,
			tokens: promptTokens,
			vector: length > 0 ? mean.map((value) => value / length) : mean,
		};
	} finally {
		own?.release();
	}
}
