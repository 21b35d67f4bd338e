import type { Change, Cstore } from "@tabmesh/cstore";
import type { ContractVerifier, RevocationKey, RevocationView } from "@tabmesh/dauth";
import {
	createDelegationVerifier,
	type DelegationVerifier,
	signedRevocations,
	type VerifiedDelegation,
} from "@tabmesh/dauth/wallet";
import {
	decodeCbor,
	equalBytes,
	limits,
	signedDelegationSchema,
	signedRevocationSchema,
} from "@tabmesh/wire";

/** Under `peer/<id>/`, where only that peer writes. */
const delegationName = "delegation";
/** Under `peer/<id>/` of whoever spreads it, because there nobody else can write over it; behind it the nonce. */
const revokedName = "revoked/";

/** A record lives as long as a delegation; half of that is over before it is written again. */
const renewMs = 15 * 24 * 3_600_000;

/**
 * Delegations and what took them back, in the shared state of a room. Anybody may spread a revocation, in his own key
 * space; it counts if the wallet signed it.
 */
export class RoomDelegations implements RevocationView {
	readonly #cstore: Cstore;
	readonly #self: string;
	readonly #contracts: ContractVerifier | undefined;
	readonly #verifier: DelegationVerifier;
	/** By nonce, then by who spread it. */
	readonly #spread = new Map<string, Map<string, Uint8Array>>();
	/** What was found to be revoked, and stays so. Nothing else is remembered: chains may be out of reach for a while. */
	readonly #revoked = new Set<string>();
	readonly #unwatch: () => void;

	/** @param onRevoked - called when somebody spread a revocation of the delegation with this nonce, true or not */
	constructor(
		cstore: Cstore,
		init: {
			self: string;
			chainId: number;
			contracts?: ContractVerifier | undefined;
			onRevoked(nonce: string): void;
		},
	) {
		this.#cstore = cstore;
		this.#self = init.self;
		this.#contracts = init.contracts;
		this.#verifier = createDelegationVerifier({
			chainId: init.chainId,
			revocations: this,
			// They lie on this device: asking each time costs nothing, and nothing is honoured late.
			revocationDelayMs: 0,
			...(init.contracts ? { contracts: init.contracts } : {}),
		});
		for (const key of cstore.keys("peer/")) this.#note(key, cstore.get(key));
		this.#unwatch = cstore.watch("peer/", (changes: readonly Change[]) => {
			for (const { key, entry } of changes) {
				const nonce = this.#note(key, entry?.value);
				if (nonce !== undefined && entry) init.onRevoked(nonce);
			}
		});
	}

	async of(peer: string, scope: string): Promise<VerifiedDelegation | undefined> {
		const bytes = this.#cstore.get(`peer/${peer}/${delegationName}`);
		return bytes instanceof Uint8Array ? this.#verifier.verify(bytes, { peer, scope }) : undefined;
	}

	/** Shows our delegation to the room, where it does not lie there already. */
	async publish(bytes: Uint8Array): Promise<void> {
		const key = `peer/${this.#self}/${delegationName}`;
		const known = this.#cstore.entry(key);
		const fresh = known !== undefined && known.time > Date.now() - renewMs;
		if (fresh && known.value instanceof Uint8Array && equalBytes(known.value, bytes)) return;
		await this.#cstore.set(key, bytes);
	}

	/** Spreads a revocation, and takes our delegation out of the room where it is the one. */
	async revoke(revocation: Uint8Array): Promise<void> {
		const { nonce } = decodeCbor(signedRevocationSchema, revocation, limits.delegationBytes).revocation;
		const delegationKey = `peer/${this.#self}/${delegationName}`;
		const shown = this.#cstore.get(delegationKey);
		const ours = shown instanceof Uint8Array && nonceOf(shown) === hex(nonce);
		// By itself and first: what is written alone, relays remember for whoever comes later.
		await this.#cstore.set(`peer/${this.#self}/${revokedName}${hex(nonce)}`, revocation);
		if (ours) await this.#cstore.delete(delegationKey);
	}

	async isRevoked(key: RevocationKey, options: { signal?: AbortSignal } = {}): Promise<boolean> {
		const name = [key.chainId, key.wallet, hex(key.nonce)].join(" ");
		if (this.#revoked.has(name)) return true;
		for (const bytes of this.#spread.get(hex(key.nonce))?.values() ?? []) {
			if (!(await signedRevocations(async () => [bytes], this.#contracts).isRevoked(key, options))) continue;
			this.#revoked.add(name);
			return true;
		}
		return false;
	}

	close(): void {
		this.#unwatch();
	}

	/** @returns the nonce where the key is a revocation's */
	#note(key: string, value: unknown): string | undefined {
		const [, author, ...rest] = key.split("/");
		const name = rest.join("/");
		if (author === undefined || !name.startsWith(revokedName)) return undefined;
		const nonce = name.slice(revokedName.length);
		const spread = this.#spread.get(nonce) ?? new Map<string, Uint8Array>();
		if (value instanceof Uint8Array) this.#spread.set(nonce, spread.set(author, value));
		// What its author deletes was true all the same.
		return nonce;
	}
}

/** The nonce of an encoded signed delegation. @throws MalformedMessageError */
export function nonceOf(delegation: Uint8Array): string {
	return hex(decodeCbor(signedDelegationSchema, delegation, limits.delegationBytes).delegation.nonce);
}

function hex(bytes: Uint8Array): string {
	return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
