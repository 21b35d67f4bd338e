import { TabmeshError } from "./base.ts";

/** Thrown when the port asked for belongs to another program. */
export class PortInUseError extends TabmeshError {
	override name = "PortInUseError";
	override readonly code = "PortInUse";
}

/** Thrown when something that needs HTTPS is asked to run without it. */
export class InsecureOriginError extends TabmeshError {
	override name = "InsecureOriginError";
	override readonly code = "InsecureOrigin";
}

/** Thrown when work is asked of this device before its owner agreed. */
export class ConsentRequiredError extends TabmeshError {
	override name = "ConsentRequiredError";
	override readonly code = "ConsentRequired";
}
