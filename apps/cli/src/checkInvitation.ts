import { readCapability } from "@tabmesh/dauth";
import { CapabilityError, InvalidParameterError } from "@tabmesh/wire";
import { readInvitation } from "./invitation.ts";

/**
 * Reads the invitation that was given (the word, its link, or a file with it), and tells a mistyped one before anything is called.
 *
 * @returns the word
 * @throws InvalidParameterError where it is none, CapabilityError where its signatures do not hold
 */
export async function checkInvitation(given: string): Promise<string> {
	const word = await readInvitation(given);
	await readCapability(word).catch((cause) => {
		if (cause instanceof CapabilityError) throw cause;
		throw new InvalidParameterError(
			"--capability (TABMESH_CAPABILITY) takes an invitation as its sender made it.",
			{
				cause,
				metaMessages: ["A part of it may be missing: copy all of it."],
			},
		);
	});
	return word;
}
