import { CapabilityHolderError } from "@tabmesh/wire";
import type { PeerIdentity } from "../identity.ts";
import { attenuateCapability } from "./attenuateCapability.ts";
import { decodeCapability } from "./capabilityToken.ts";
import { readCapability } from "./readCapability.ts";

/**
 * The form of a capability that may be shown to others: bound to this peer, without any secret. Do it once and keep it.
 *
 * @throws CapabilityHolderError when it was given to another peer; CapabilityForgedError, MalformedMessageError
 */
export async function presentCapability(token: string, identity: PeerIdentity): Promise<string> {
	const [, , , secret] = decodeCapability(token);
	if (secret) return attenuateCapability(token, { to: identity.peer });
	const { holder } = await readCapability(token);
	if (holder !== identity.peer) {
		throw new CapabilityHolderError("This capability was given to another peer.");
	}
	return token;
}
