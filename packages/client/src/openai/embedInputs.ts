import type { Tabmesh } from "../tabmesh.ts";
import type { EmbeddingRequest } from "./requests.ts";
import { MOST_AT_ONCE } from "./runningAnswers.ts";
import type { EmbeddingList } from "./shapes.ts";

/** The vectors of all inputs, in their order. */
export async function embedInputs(
	mesh: Tabmesh,
	{ asBase64, inputs, model }: EmbeddingRequest,
	{ apart, signal }: { apart?: string; signal?: AbortSignal },
): Promise<EmbeddingList<number[] | string>> {
	const failed = new AbortController();
	const until = signal ? AbortSignal.any([signal, failed.signal]) : failed.signal;
	const data: EmbeddingList<number[] | string>["data"] = [];
	let count = 0;
	let next = 0;
	const read = async (): Promise<void> => {
		for (let index = next++; index < inputs.length && !failed.signal.aborted; index = next++) {
			const more = { signal: until, ...(apart === undefined ? {} : { apart }) };
			const { tokens, vector } = await mesh.embed({ ...inputs[index], ...more });
			count += tokens.length;
			data[index] = { object: "embedding", index, embedding: asBase64 ? base64Of(vector) : [...vector] };
		}
	};
	try {
		await Promise.all(Array.from({ length: MOST_AT_ONCE }, read));
	} catch (error) {
		failed.abort(error);
		throw error;
	}
	return { object: "list", data, model, usage: { prompt_tokens: count, total_tokens: count } };
}

function base64Of(vector: Float32Array): string {
	const bytes = new DataView(new ArrayBuffer(4 * vector.length));
	for (const [i, value] of vector.entries()) bytes.setFloat32(4 * i, value, true);
	let binary = "";
	for (const byte of new Uint8Array(bytes.buffer)) binary += String.fromCharCode(byte);
	return btoa(binary);
}
