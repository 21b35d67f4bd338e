import { TabmeshError } from "./base.ts";

/** The family of everything that is wrong with a capability. Itself thrown when a token is misused. */
export class CapabilityError extends TabmeshError {
	override name = "CapabilityError";
	override readonly code: string = "Capability";
}

/** Thrown when a capability is over, or has not begun. */
export class CapabilityTimeError extends CapabilityError {
	override name = "CapabilityTimeError";
	override readonly code = "CapabilityTime";
}

/** Thrown when a link of a capability's chain was not signed by the key that the link before names. */
export class CapabilityForgedError extends CapabilityError {
	override name = "CapabilityForgedError";
	override readonly code = "CapabilityForged";
}

/** Thrown when a link of a capability's chain grants more than the link before. */
export class CapabilityWidenedError extends CapabilityError {
	override name = "CapabilityWidenedError";
	override readonly code = "CapabilityWidened";
}

/** Thrown when a capability is for another room. */
export class CapabilityRoomError extends CapabilityError {
	override name = "CapabilityRoomError";
	override readonly code = "CapabilityRoom";
}

/** Thrown when a capability was given to another peer than the one that shows it. */
export class CapabilityHolderError extends CapabilityError {
	override name = "CapabilityHolderError";
	override readonly code = "CapabilityHolder";
}

/** Thrown when a capability does not grant what is asked for. */
export class CapabilityActionError extends CapabilityError {
	override name = "CapabilityActionError";
	override readonly code = "CapabilityAction";
}

/** Thrown when a link of a capability's chain was revoked. */
export class CapabilityRevokedError extends CapabilityError {
	override name = "CapabilityRevokedError";
	override readonly code = "CapabilityRevoked";
}
