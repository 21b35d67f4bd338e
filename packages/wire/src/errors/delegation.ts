import { TabmeshError } from "./base.ts";

/** The family of everything that is wrong with a delegation. */
export class DelegationError extends TabmeshError {
	override name = "DelegationError";
	override readonly code: string = "Delegation";
}

/** Thrown when a delegation's last second has passed. */
export class DelegationExpiredError extends DelegationError {
	override name = "DelegationExpiredError";
	override readonly code = "DelegationExpired";
}

/** Thrown when a delegation's first second has not come yet. */
export class DelegationNotYetValidError extends DelegationError {
	override name = "DelegationNotYetValidError";
	override readonly code = "DelegationNotYetValid";
}

/** Thrown when a delegation is for another chain. */
export class DelegationChainError extends DelegationError {
	override name = "DelegationChainError";
	override readonly code = "DelegationChain";
}

/** Thrown when a delegation does not cover what is asked for. */
export class DelegationScopeError extends DelegationError {
	override name = "DelegationScopeError";
	override readonly code = "DelegationScope";
}

/** Thrown when a delegation names another peer than the one that shows it. */
export class DelegationPeerError extends DelegationError {
	override name = "DelegationPeerError";
	override readonly code = "DelegationPeer";
}

/** Thrown when the wallet has taken a delegation back. */
export class DelegationRevokedError extends DelegationError {
	override name = "DelegationRevokedError";
	override readonly code = "DelegationRevoked";
}

/** Thrown when the signature under a delegation or revocation is not its wallet's. */
export class DelegationForgedError extends DelegationError {
	override name = "DelegationForgedError";
	override readonly code = "DelegationForged";
}

/** Thrown when it cannot be found out now whether a delegation holds: the chain or the revocations are out of reach. */
export class DelegationUncheckedError extends DelegationError {
	override name = "DelegationUncheckedError";
	override readonly code = "DelegationUnchecked";
}
