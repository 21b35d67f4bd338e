import { TabmeshError } from "./base.ts";

/** The family of what can go wrong with a chain. Itself thrown when a node answers nonsense. */
export class ChainError extends TabmeshError {
	override name = "ChainError";
	override readonly code: string = "Chain";
}

/** Thrown when no node of a chain answers, or none in time. */
export class ChainUnreachableError extends ChainError {
	override name = "ChainUnreachableError";
	override readonly code = "ChainUnreachable";
}

/** Thrown when a node belongs to another chain than the one that is meant. */
export class WrongChainError extends ChainError {
	override name = "WrongChainError";
	override readonly code = "WrongChain";
}
