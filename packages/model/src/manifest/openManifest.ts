import {
	decodeCbor,
	limits,
	type Manifest,
	ModelFileError,
	manifestSchema,
	ShardIntegrityError,
} from "@tabmesh/wire";
import { expectedParts, tokenizerName } from "../format/llamaTensors.ts";
import { tensorBytes } from "../format/tensorBytes.ts";
import type { ModelRef } from "../shardSource.ts";
import { chunkCount } from "./chunks.ts";
import { manifestBytesId } from "./modelId.ts";

/** ONNX Runtime's GroupQueryAttention with rotary embedding takes no other head sizes. */
const headSizeStep = 16;

/**
 * Turns manifest bytes from anywhere into a model that can be trusted to be complete: they have the id asked for, every tensor
 * has the length and the number of chunks that its type and shape give, every part has the tensors that the configuration
 * needs, and no name is unknown or twice there.
 *
 * @throws ShardIntegrityError when the bytes do not have `expectedId`
 * @throws MessageTooLargeError, MalformedMessageError when they are no manifest
 * @throws ModelFileError when it describes a model that cannot be run
 */
export async function openManifest(bytes: Uint8Array, expectedId: string): Promise<ModelRef> {
	if (bytes.byteLength <= limits.manifestBytes) {
		const id = await manifestBytesId(bytes);
		if (id !== expectedId) {
			throw new ShardIntegrityError("A manifest does not have the id of the model that was asked for.", {
				details: { id, expectedId },
			});
		}
	}
	const manifest = decodeCbor(manifestSchema, bytes, limits.manifestBytes);
	checkManifest(manifest);
	return { id: expectedId, manifest };
}

/**
 * Makes sure that a manifest agrees with itself.
 *
 * @throws ModelFileError when it does not
 */
export function checkManifest(manifest: Manifest): void {
	const { config } = manifest;
	const broken = (why: string) => new ModelFileError(`The model's manifest contradicts itself: ${why}.`);
	if (config.heads % config.keyValueHeads !== 0) throw broken("key-value heads do not divide the heads");
	if (config.headSize % headSizeStep !== 0) {
		throw new ModelFileError(
			`Heads of ${config.headSize} values cannot be run: it takes a multiple of ${headSizeStep}.`,
		);
	}
	for (const token of [manifest.tokenizer.bos ?? 0, ...manifest.tokenizer.eos]) {
		if (token >= config.vocabularySize) throw broken(`token ${token} lies outside its vocabulary`);
	}

	const tensors = new Map(manifest.tensors.map((tensor) => [tensor.name, tensor]));
	if (tensors.size !== manifest.tensors.length) throw broken("a tensor is there twice");
	for (const tensor of manifest.tensors) {
		const expected = tensorBytes(tensor.type, tensor.shape);
		if (expected !== tensor.bytes) throw broken(`${tensor.name} has ${tensor.bytes} bytes, not ${expected}`);
		if (tensor.chunks.length !== chunkCount(tensor.bytes)) {
			throw broken(`${tensor.name} has ${tensor.chunks.length} chunks, not ${chunkCount(tensor.bytes)}`);
		}
	}

	const tokenizer = tensors.get(tokenizerName);
	if (tokenizer?.type !== "BLOB") throw broken(`it has no ${tokenizerName}`);
	const parts = [
		...expectedParts(config),
		{ name: "tokenizer", tensors: [{ name: tokenizerName, shape: tokenizer.shape }] },
	];
	if (parts.length !== manifest.parts.length)
		throw broken(`it has ${manifest.parts.length} parts, not ${parts.length}`);
	const named = new Set<string>();
	for (const [index, expected] of parts.entries()) {
		const part = manifest.parts[index]!;
		if (part.name !== expected.name) throw broken(`part ${index} is ${part.name}, not ${expected.name}`);
		const names = expected.tensors.map((tensor) => tensor.name);
		if (names.join() !== part.tensors.join())
			throw broken(`${part.name} does not have the tensors of its kind`);
		for (const { name, shape } of expected.tensors) {
			const tensor = tensors.get(name);
			if (!tensor) throw broken(`${name} is missing`);
			if (tensor.shape.join() !== shape.join())
				throw broken(`${name} is ${tensor.shape.join("×")}, not ${shape.join("×")}`);
			if (name !== tokenizerName && tensor.type === "BLOB") throw broken(`${name} is a file, not a tensor`);
			named.add(name);
		}
	}
	if (named.size !== tensors.size) throw broken("it has tensors that belong to no part");
}
