import { TabmeshError } from "./base.ts";

/** Thrown when the peers that are here do not hold all layers of the model between them. */
export class NoRouteError extends TabmeshError {
	override name = "NoRouteError";
	override readonly code = "NoRoute";
}

/** Thrown when prompt and answer together do not fit the model's context. */
export class PromptTooLongError extends TabmeshError {
	override name = "PromptTooLongError";
	override readonly code = "PromptTooLong";
}

/** Thrown when there is nothing to continue: the prompt has no tokens. */
export class EmptyPromptError extends TabmeshError {
	override name = "EmptyPromptError";
	override readonly code = "EmptyPrompt";
}

/** Thrown when a peer that holds a stage of the route left or fell silent in the middle of an answer. */
export class StageLostError extends TabmeshError {
	override name = "StageLostError";
	override readonly code = "StageLost";
}

/**
 * Thrown when a peer has no room for another stream now. `details.retryAfterMs` is when it is likely to have some, where it
 * can tell: by what the streams that it serves may still write, and how quickly they do.
 */
export class StageBusyError extends TabmeshError {
	override name = "StageBusyError";
	override readonly code = "StageBusy";
}

/** Thrown when a peer does not serve what the route asks of it. */
export class RouteRefusedError extends TabmeshError {
	override name = "RouteRefusedError";
	override readonly code = "RouteRefused";
}

/** Thrown when a frame comes from a peer, position or generation that the signed route does not allow. */
export class RouteViolationError extends TabmeshError {
	override name = "RouteViolationError";
	override readonly code = "RouteViolation";
}

/** Thrown when stages disagree about which tokens were generated: one of them lies. */
export class TokenChainError extends TabmeshError {
	override name = "TokenChainError";
	override readonly code = "TokenChain";
}

/** Thrown when a receipt says what did not happen, or when an asker does not sign for what was done. */
export class ReceiptError extends TabmeshError {
	override name = "ReceiptError";
	override readonly code = "Receipt";
}

/** Thrown when an option or parameter has a value outside its allowed range. */
export class InvalidParameterError extends TabmeshError {
	override name = "InvalidParameterError";
	override readonly code = "InvalidParameter";
}
