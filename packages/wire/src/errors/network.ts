import { TabmeshError } from "./base.ts";

/** Thrown when no connection to a peer or relay could be made, or it went away. */
export class PeerUnreachableError extends TabmeshError {
	override name = "PeerUnreachableError";
	override readonly code = "PeerUnreachable";
}

/** Thrown when a peer did not answer within the time its request allows. */
export class TimeoutError extends TabmeshError {
	override name = "TimeoutError";
	override readonly code = "Timeout";
}

/** Thrown when a stream was reset by the other side or its connection ended in the middle. */
export class StreamResetError extends TabmeshError {
	override name = "StreamResetError";
	override readonly code = "StreamReset";
}

/** Thrown when a peer sends more than it has credit for, or opens more than its share. */
export class FloodError extends TabmeshError {
	override name = "FloodError";
	override readonly code = "Flood";
}

/** Thrown when a peer has lost so much score that nothing more is accepted from it. */
export class PeerBannedError extends TabmeshError {
	override name = "PeerBannedError";
	override readonly code = "PeerBanned";
}

/** Thrown when a peer sends a valid message that the protocol does not allow at this point. */
export class ProtocolViolationError extends TabmeshError {
	override name = "ProtocolViolationError";
	override readonly code = "ProtocolViolation";
}
