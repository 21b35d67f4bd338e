import { TabmeshError } from "./base.ts";

/** Thrown when this device offers no backend that can run the model. */
export class EngineUnavailableError extends TabmeshError {
	override name = "EngineUnavailableError";
	override readonly code = "EngineUnavailable";
}

/** Thrown when this processor computes something else in a weight format than others do; in other formats it runs models. */
export class WeightFormatError extends TabmeshError {
	override name = "WeightFormatError";
	override readonly code = "WeightFormat";
}

/** Thrown when a forward call does not fit the state of its stream: position, shape, unknown stream or handle. */
export class EngineInputError extends TabmeshError {
	override name = "EngineInputError";
	override readonly code = "EngineInput";
}

/** Thrown when the GPU device went away; the worker starts again and streams on it are gone. */
export class DeviceLostError extends TabmeshError {
	override name = "DeviceLostError";
	override readonly code = "DeviceLost";
}

/** Thrown when what is asked for needs more memory than the budget that was given. */
export class OutOfMemoryBudgetError extends TabmeshError {
	override name = "OutOfMemoryBudgetError";
	override readonly code = "OutOfMemoryBudget";
}
