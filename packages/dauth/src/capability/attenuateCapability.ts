import { ed25519 } from "@noble/curves/ed25519.js";
import { CapabilityHolderError, equalBytes } from "@tabmesh/wire";
import type { PeerIdentity } from "../identity.ts";
import type { CapabilityNarrowing } from "./capability.ts";
import { capabilityBody } from "./capabilityBody.ts";
import { assertNarrower, checkChain } from "./capabilityChain.ts";
import { decodeCapability } from "./capabilityToken.ts";
import { checkedToken, nextKey, sortedActions } from "./mintCapability.ts";

/**
 * A narrower capability made from one that this peer holds, without asking anybody.
 *
 * @param holder - needed where the token was given to a peer; a link brings its own key
 * @throws CapabilityWidenedError when it would grant more; CapabilityHolderError when the token is another peer's;
 * CapabilityForgedError, MalformedMessageError; InvalidParameterError when the chain would be longer than
 * `limits.capabilityBlocks`
 */
export async function attenuateCapability(
	token: string,
	narrowing: CapabilityNarrowing,
	holder?: PeerIdentity,
): Promise<string> {
	const wire = decodeCapability(token);
	const { capability, key, parent } = await checkChain(wire);
	const [version, room, blocks, secret] = wire;
	const actions = narrowing.actions === undefined ? null : sortedActions(narrowing.actions);
	const notBefore = narrowing.notBefore === undefined ? null : Math.floor(narrowing.notBefore);
	const expires = narrowing.expires === undefined ? null : Math.floor(narrowing.expires);
	assertNarrower(capability, actions, notBefore, expires);
	const { next, secret: nextSecret } = nextKey(narrowing.to);
	const body = capabilityBody(parent, actions, notBefore, expires, next);
	const signature = await signAs(key, secret, holder, body);
	return checkedToken([
		version,
		room,
		[...blocks, [actions, notBefore, expires, next, signature]],
		nextSecret,
	]);
}

async function signAs(
	key: Uint8Array,
	secret: Uint8Array | null,
	holder: PeerIdentity | undefined,
	body: Uint8Array,
): Promise<Uint8Array> {
	if (secret) return ed25519.sign(body, secret);
	if (holder && equalBytes(holder.publicKey, key)) return holder.sign(body);
	throw new CapabilityHolderError("This capability was given to another peer.");
}
