import { TabmeshError } from "./base.ts";

/** Thrown when bytes from a peer, a file or a store do not follow the schema they claim to follow. */
export class MalformedMessageError extends TabmeshError {
	override name = "MalformedMessageError";
	override readonly code = "MalformedMessage";
}

/** Thrown when a message is longer than the limit of its kind; nothing of it is kept. */
export class MessageTooLargeError extends TabmeshError {
	override name = "MessageTooLargeError";
	override readonly code = "MessageTooLarge";
}

/** Thrown when two peers share no major version of a protocol. */
export class UnsupportedVersionError extends TabmeshError {
	override name = "UnsupportedVersionError";
	override readonly code = "UnsupportedVersion";
}

/** Thrown when a tensor has the wrong type, shape or length, or holds NaN or infinity. */
export class InvalidTensorError extends TabmeshError {
	override name = "InvalidTensorError";
	override readonly code = "InvalidTensor";
}
