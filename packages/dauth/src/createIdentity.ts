import type { PeerIdentity } from "./identity.ts";
import { identityOf } from "./signingIdentity.ts";
import { generateSigningKey } from "./signingKey.ts";

/**
 * A fresh identity that lives as long as this process or page.
 *
 * @example
 * ```ts
 * import { createIdentity } from "@tabmesh/dauth";
 * const identity = await createIdentity();
 * identity.peer; // "12D3KooW…"
 * ```
 */
export async function createIdentity(): Promise<PeerIdentity> {
	return identityOf(await generateSigningKey(), { persistent: false });
}
