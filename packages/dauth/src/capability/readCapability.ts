import type { Capability } from "./capability.ts";
import { checkChain } from "./capabilityChain.ts";
import { decodeCapability } from "./capabilityToken.ts";

/**
 * What a token says, for showing to the person who received it. Its signatures hold; whether it is over is not looked at.
 *
 * @throws MalformedMessageError, MessageTooLargeError, CapabilityError
 */
export async function readCapability(token: string): Promise<Capability> {
	return (await checkChain(decodeCapability(token))).capability;
}
