import { canonicalJson, type JsonValue } from "./canonicalJson.ts";

/** What can be added: bytes, a Blob or File, a stream of bytes, or a JSON value, which is stored as canonical JSON (RFC 8785). */
export type FileInput =
	| Uint8Array
	| ArrayBuffer
	| Blob
	| ReadableStream<Uint8Array>
	| AsyncIterable<Uint8Array>
	| JsonValue;

// Bytes in memory are handed on in pieces of this size, so that progress and cancelling work for them as for streams.
const pieceBytes = 1024 * 1024;

/** The bytes of `input` in order. @throws InvalidParameterError for what JSON cannot hold */
export async function* readInput(input: FileInput): AsyncGenerator<Uint8Array, void, undefined> {
	if (input instanceof ArrayBuffer) yield* pieces(new Uint8Array(input));
	else if (input instanceof Uint8Array) yield* pieces(input);
	else if (input instanceof Blob) yield* read(input.stream());
	else if (input instanceof ReadableStream) yield* read(input);
	else if (isAsyncIterable(input)) yield* input;
	else yield* pieces(new TextEncoder().encode(canonicalJson(input)));
}

/** Bytes that `input` has, where that is known before reading it. */
export function inputSize(input: FileInput): number | undefined {
	if (input instanceof ArrayBuffer || input instanceof Uint8Array) return input.byteLength;
	return input instanceof Blob ? input.size : undefined;
}

function* pieces(bytes: Uint8Array): Generator<Uint8Array> {
	for (let at = 0; at < bytes.byteLength; at += pieceBytes) yield bytes.subarray(at, at + pieceBytes);
}

// Safari has no asynchronous iteration of streams.
async function* read(stream: ReadableStream<Uint8Array>): AsyncGenerator<Uint8Array> {
	const reader = stream.getReader();
	let whole = false;
	try {
		while (true) {
			const { done, value } = await reader.read();
			if (done) break;
			yield value;
		}
		whole = true;
	} finally {
		if (!whole) await reader.cancel().catch(() => {});
		reader.releaseLock();
	}
}

function isAsyncIterable(input: unknown): input is AsyncIterable<Uint8Array> {
	return typeof input === "object" && input !== null && Symbol.asyncIterator in input;
}
