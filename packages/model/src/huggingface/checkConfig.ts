import { type ModelConfig, ModelFileError, modelConfigSchema } from "@tabmesh/wire";
import * as v from "valibot";

/**
 * A configuration that was read from a model's files, held to the limits and to what its numbers say about each other.
 *
 * @throws ModelFileError naming the field that cannot be
 */
export function checkConfig(config: ModelConfig, file: string): ModelConfig {
	const parsed = v.safeParse(modelConfigSchema, config);
	if (!parsed.success) {
		const [issue] = parsed.issues;
		throw new ModelFileError(
			`${file} describes no model that Tabmesh runs: ${v.getDotPath(issue) ?? "its configuration"} is ${issue.received.slice(0, 64)}.`,
		);
	}
	const { heads, keyValueHeads, headSize } = parsed.output;
	if (heads % keyValueHeads !== 0) {
		throw new ModelFileError(
			`${file} has ${heads} heads, which ${keyValueHeads} key-value heads cannot share evenly.`,
		);
	}
	if (headSize % 2 !== 0) {
		throw new ModelFileError(
			`${file} has heads of ${headSize}, an odd number, which rotary embedding cannot pair.`,
		);
	}
	return parsed.output;
}
