import {
	decodeCbor,
	encodeCbor,
	InvalidParameterError,
	limits,
	MalformedMessageError,
	TabmeshError,
	ValueTooLargeError,
} from "@tabmesh/wire";
import * as v from "valibot";

const anything = v.unknown();

/**
 * The CBOR of a value that goes into shared state.
 *
 * @throws ValueTooLargeError above 64 KB; InvalidParameterError for what CBOR cannot say the same everywhere: undefined,
 * NaN, infinities, functions, integers beyond 2^53
 */
export function encodeValue(value: unknown): Uint8Array {
	let bytes: Uint8Array;
	try {
		if (value === undefined) throw new TypeError("undefined");
		bytes = encodeCbor(value);
	} catch (cause) {
		throw unsayable(cause);
	}
	if (bytes.byteLength > limits.cstoreValueBytes) {
		throw new ValueTooLargeError(
			`A value of ${bytes.byteLength} bytes is larger than the ${limits.cstoreValueBytes} that shared state carries.`,
			{
				metaMessages: ["Add it to R1FS and store its CID."],
				details: { bytes: bytes.byteLength, maxBytes: limits.cstoreValueBytes },
			},
		);
	}
	try {
		decodeValue(bytes);
	} catch (cause) {
		throw unsayable(cause);
	}
	return bytes;
}

/** @throws MalformedMessageError */
export function decodeValue(bytes: Uint8Array): unknown {
	try {
		return decodeCbor(anything, bytes, limits.cstoreValueBytes);
	} catch (cause) {
		if (cause instanceof TabmeshError) throw cause;
		// Nested so deeply that the stack ends.
		throw new MalformedMessageError("A value cannot be read.", { cause });
	}
}

function unsayable(cause: unknown): InvalidParameterError {
	return new InvalidParameterError("This value cannot be stored the same everywhere.", {
		cause,
		metaMessages: [
			"Use null, booleans, finite numbers, strings, Uint8Arrays, arrays and plain objects of these.",
		],
	});
}
