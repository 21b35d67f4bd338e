import { embeddingName, finalNormName, headName, layerTensorNames } from "../format/llamaTensors.ts";

/** GGML's names of the tensors of one layer, behind `blk.N.`, and how Hugging Face calls them. */
function layerName(layer: number, name: string): string | undefined {
	const names = layerTensorNames(layer);
	switch (name) {
		case "attn_norm.weight":
			return names.inputNorm;
		case "attn_q.weight":
			return names.query;
		case "attn_k.weight":
			return names.key;
		case "attn_v.weight":
			return names.value;
		case "attn_output.weight":
			return names.output;
		case "ffn_norm.weight":
			return names.postNorm;
		case "ffn_gate.weight":
			return names.gate;
		case "ffn_up.weight":
			return names.up;
		case "ffn_down.weight":
			return names.down;
		case "attn_q.bias":
		case "attn_k.bias":
		case "attn_v.bias":
			return `model.layers.${layer}.self_attn.${name[5]}_proj.bias`;
		case "attn_q_norm.weight":
		case "attn_k_norm.weight":
			return `model.layers.${layer}.self_attn.${name[5]}_norm.weight`;
		default:
			return undefined;
	}
}

/** The Hugging Face name of a tensor; names that no architecture here has stay as they are. */
export function huggingFaceName(ggmlName: string): string {
	if (ggmlName === "token_embd.weight") return embeddingName;
	if (ggmlName === "output_norm.weight") return finalNormName;
	if (ggmlName === "output.weight") return headName;
	const match = /^blk\.(0|[1-9]\d{0,3})\.(.+)$/.exec(ggmlName);
	return (match && layerName(Number(match[1]), match[2]!)) ?? ggmlName;
}

/** The factors of Llama 3's rope scaling; no weight, but part of the configuration. */
export const ropeFactorsName = "rope_freqs.weight";
