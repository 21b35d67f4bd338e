import { TabmeshError } from "./base.ts";

/** Thrown when a signature does not belong to the key and bytes it comes with. */
export class InvalidSignatureError extends TabmeshError {
	override name = "InvalidSignatureError";
	override readonly code = "InvalidSignature";
}

/** Thrown when an envelope's sequence number was seen before from the same author in the same domain. */
export class ReplayedEnvelopeError extends TabmeshError {
	override name = "ReplayedEnvelopeError";
	override readonly code = "ReplayedEnvelope";
}

/** Thrown when an envelope or route has expired, or claims to come from the future. */
export class EnvelopeTimeError extends TabmeshError {
	override name = "EnvelopeTimeError";
	override readonly code = "EnvelopeTime";
}

/** Thrown when the peer key can neither be read nor kept on this device. */
export class KeyStorageError extends TabmeshError {
	override name = "KeyStorageError";
	override readonly code = "KeyStorage";
}
