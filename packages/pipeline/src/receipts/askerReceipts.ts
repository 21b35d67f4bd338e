import { bytesToHex } from "@noble/hashes/utils.js";
import type { EnvelopeSigner } from "@tabmesh/dauth";
import { equalBytes, type Hop, type Receipt, ReceiptError, type Route } from "@tabmesh/wire";
import type { TokenChain } from "../tokenChain.ts";
import { epochAt, openReceipt, routeHash, type SignedReceipt } from "./signedReceipt.ts";

/** The asker's side of a stream's receipts: what stages say they did is compared with what is known of it, and owned up to. */
export class AskerReceipts {
	readonly #signer: EnvelopeSigner;
	readonly #terms: Pick<Receipt, "asker" | "chainId" | "model" | "stream">;
	/** Generations of the routes, by their hash in hex. */
	readonly #routes = new Map<string, number>();
	/** Positions that stages had when the stream began there, by peer and span; undefined where nobody here knows. */
	readonly #taken: Map<string, number> | undefined;
	/** The newest of each peer and span. */
	readonly #signed = new Map<string, SignedReceipt>();
	/** Of peers that are ahead of the tokens that we have heard of: the newest. */
	readonly #early = new Map<string, { hop: Hop; envelope: Uint8Array }>();
	readonly #countersigned: (hop: Hop, envelope: Uint8Array) => void;
	readonly #refused: (hop: Hop, error: unknown) => void;

	constructor(init: {
		signer: EnvelopeSigner;
		terms: Pick<Receipt, "asker" | "chainId" | "model" | "stream">;
		/** The page was reloaded since the stream began. */
		resumed: boolean;
		/** Brings our side of a receipt to the stage. */
		countersigned: (hop: Hop, envelope: Uint8Array) => void;
		/** A stage signed for what did not happen. */
		refused: (hop: Hop, error: unknown) => void;
	}) {
		this.#signer = init.signer;
		this.#terms = init.terms;
		this.#taken = init.resumed ? undefined : new Map();
		this.#countersigned = init.countersigned;
		this.#refused = init.refused;
	}

	/** What both sides signed: of each stage the newest. */
	get signed(): readonly SignedReceipt[] {
		return [...this.#signed.values()];
	}

	/** A route of the stream, as it is sent out. */
	onRoute(route: Route): void {
		this.#routes.set(bytesToHex(routeHash(route)), route.generation);
	}

	/** What a stage had from an earlier stream when this one began. */
	onTaken(hop: Hop, positions: number): void {
		this.#taken?.set(keyOf(hop), positions);
	}

	/** Checks a stage's receipt against the tokens that we know, and countersigns it. */
	async take(hop: Hop, envelope: Uint8Array, chain: TokenChain): Promise<void> {
		try {
			const { receipt, payload } = await openReceipt(envelope, hop.peer);
			this.#checkTerms(receipt, hop);
			if (receipt.positions > chain.length) {
				this.#early.set(keyOf(hop), { hop, envelope });
				return;
			}
			if (!equalBytes(chain.at(receipt.positions), receipt.chain)) {
				throw new ReceiptError("A stage signs for other tokens than we know.", {
					details: { peer: hop.peer, positions: receipt.positions },
				});
			}
			const byAsker = await this.#signer.seal("receipt", payload);
			const before = this.#signed.get(keyOf(hop));
			if (!before || before.receipt.positions < receipt.positions) {
				this.#signed.set(keyOf(hop), { receipt, byPeer: envelope, byAsker });
			}
			this.#countersigned(hop, byAsker);
		} catch (error) {
			this.#refused(hop, error);
		}
	}

	/** More tokens have come: what was early may be due. */
	onTokens(chain: TokenChain): void {
		if (this.#early.size === 0) return;
		const early = [...this.#early.values()];
		this.#early.clear();
		for (const { hop, envelope } of early) void this.take(hop, envelope, chain);
	}

	#checkTerms(receipt: Receipt, hop: Hop): void {
		const { peer, span } = hop;
		const { asker, chainId, model, stream } = this.#terms;
		const { generation } = receipt;
		const mistakes: [boolean, string][] = [
			[receipt.asker !== asker || receipt.peer !== peer, "is of other peers"],
			[receipt.model !== model || !equalBytes(receipt.stream, stream), "is of another stream"],
			[receipt.span.from !== span.from || receipt.span.to !== span.to, "is of other layers"],
			[this.#routes.get(bytesToHex(receipt.route)) !== generation, "is of another route"],
			[
				this.#taken !== undefined && receipt.taken !== (this.#taken.get(keyOf(hop)) ?? 0),
				"counts what an earlier stream computed",
			],
			[receipt.chainId !== chainId, "is for another chain"],
			// Clocks differ where one day becomes the next.
			[Math.abs(receipt.epoch - epochAt(Date.now())) > 1, "is of another epoch"],
		];
		const wrong = mistakes.find(([is]) => is)?.[1];
		if (wrong) throw new ReceiptError(`A stage's receipt ${wrong}.`, { details: { peer } });
	}
}

function keyOf({ peer, span }: Hop): string {
	return `${peer} ${span.from} ${span.to}`;
}
