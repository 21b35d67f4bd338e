import type { Gate, Manifest } from "@tabmesh/wire";
import type { WeightFormat } from "../graph/spanGraph.ts";

/** Next tokens that a format has to name as float32 does, of a hundred. */
const leastAgreement = 97;

/** Residuals beyond this leave too little room below binary16's 65,504: the next prompt may be worse than the text that was measured. */
const largestHalfResidual = 3e4;

/** Every format there is; the type makes sure that none is forgotten. */
const known: Readonly<Record<WeightFormat, true>> = {
	f32: true,
	q8: true,
	q8a8: true,
	i8: true,
	q4: true,
};

/** The formats that a gate tries. */
export const weightFormats = Object.keys(known) as readonly WeightFormat[];

/**
 * The formats that a model may be run in. With a gate record those that agree with float32 on at least 97 % of its text; without
 * one float32 alone, and 8 bits where the source's own weights have no more.
 */
export function offeredFormats(manifest: Manifest, gate?: Gate): WeightFormat[] {
	const measured = new Map(gate?.formats.map(({ weights, agreed }) => [weights, agreed]));
	return weightFormats.filter((format) => {
		if (format === "f32") return true;
		const agreed = measured.get(format);
		if (gate) return agreed !== undefined && 100 * agreed >= leastAgreement * gate.positions;
		return format === "q8" && isQuantised(manifest);
	});
}

/** How hidden states travel between stages, by what was measured. */
export function boundaryOf({ largestResidual }: Pick<Gate, "largestResidual">): Manifest["boundary"] {
	return largestResidual > largestHalfResidual ? "f32" : "f16";
}

/** Whether all matrices of the layers lie in blocks. */
function isQuantised({ parts, tensors }: Manifest): boolean {
	const inLayers = new Set(
		parts.filter(({ name }) => name.startsWith("layer.")).flatMap((part) => part.tensors),
	);
	return tensors
		.filter(({ name, shape }) => inLayers.has(name) && shape.length > 1)
		.every(({ type }) => !["F32", "F16", "BF16", "BLOB"].includes(type));
}
