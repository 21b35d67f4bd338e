import { TabmeshError } from "./base.ts";

/** Thrown when a sealed message cannot be opened: its prekey is gone, or it was changed, or it was not for us. */
export class SealedMessageError extends TabmeshError {
	override name = "SealedMessageError";
	override readonly code = "SealedMessage";
}

/** Thrown when a prekey to seal to is over, or would live longer than forward secrecy allows. */
export class PrekeyExpiredError extends TabmeshError {
	override name = "PrekeyExpiredError";
	override readonly code = "PrekeyExpired";
}
