import { readCapability } from "@tabmesh/dauth";
import { CapabilityError, InvalidParameterError } from "@tabmesh/wire";

/**
 * Tells a mistyped invitation before anything is called.
 *
 * @throws InvalidParameterError where it is none, CapabilityError where its signatures do not hold
 */
export async function checkInvitation(capability: string): Promise<void> {
	await readCapability(capability).catch((cause) => {
		if (cause instanceof CapabilityError) throw cause;
		throw new InvalidParameterError(
			"--capability (TABMESH_CAPABILITY) takes an invitation as its sender made it.",
			{
				cause,
				metaMessages: ["A part of it may be missing: copy all of it."],
			},
		);
	});
}
