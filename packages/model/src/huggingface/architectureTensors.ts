import { type ModelConfig, ModelFileError } from "@tabmesh/wire";
import { type ExpectedTensor, expectedParts } from "../format/llamaTensors.ts";
import type { SourceTensor } from "../format/modelSource.ts";

/** Every weight of a model of this configuration once, in the order of the trip of a token. */
export function architectureTensors(config: ModelConfig): ExpectedTensor[] {
	const tensors = new Map<string, ExpectedTensor>();
	for (const { tensors: ofPart } of expectedParts(config)) {
		for (const tensor of ofPart) tensors.set(tensor.name, tensor);
	}
	return [...tensors.values()];
}

/**
 * The weights of a model in their one order, out of what its files hold.
 *
 * @param found - by Hugging Face name; what is left over is an error
 * @throws ModelFileError when one is missing, has another shape, or is more than the architecture has
 */
export function matchTensors(
	config: ModelConfig,
	found: ReadonlyMap<string, SourceTensor>,
	file: string,
): SourceTensor[] {
	const expected = architectureTensors(config);
	const matched = expected.map(({ name, shape }) => {
		const tensor = found.get(name);
		if (!tensor) {
			throw new ModelFileError(`${file} has no ${name}, which a ${config.architecture} needs.`, {
				metaMessages: ["Make sure that every part of the model is there."],
			});
		}
		if (tensor.shape.length !== shape.length || tensor.shape.some((size, i) => size !== shape[i])) {
			throw new ModelFileError(
				`${name} in ${file} has the shape ${tensor.shape.join(" × ")}, where its configuration asks for ${shape.join(" × ")}.`,
			);
		}
		return tensor;
	});
	if (matched.length < found.size) {
		const known = new Set(expected.map(({ name }) => name));
		const strange = [...found.keys()].filter((name) => !known.has(name));
		throw new ModelFileError(
			`${file} has ${strange.length} tensors that a ${config.architecture} does not have, such as ${strange[0]!.slice(0, 64)}.`,
			{
				metaMessages: [
					"Tabmesh runs plain llama, qwen2 and qwen3 models: no experts, no vision, no extra biases.",
				],
			},
		);
	}
	return matched;
}
