import type { EnvelopeSigner } from "@tabmesh/dauth";
import { encodeCbor, equalBytes, type Receipt, ReceiptError, type Route } from "@tabmesh/wire";
import { epochAt, openReceipt, routeHash, type SignedReceipt } from "./signedReceipt.ts";

/** Positions between two receipts: what a stage loses at most to an asker who walks away. */
const RECEIPT_EVERY = 32;
/** The same for the last one, when the stream has ended and nothing is computed any more. */
const LAST_RECEIPT_MS = 2_000;

/** What stays the same in all receipts of a stream at a stage. */
type Terms = Pick<Receipt, "asker" | "chainId" | "model" | "numericsClass" | "peer" | "span" | "stream">;

/** How far a stage is, and what it made of the last position. */
export type Work = Pick<Receipt, "chain" | "outputs" | "positions">;

interface Sent {
	readonly receipt: Receipt;
	readonly payload: Uint8Array;
	readonly byPeer: Uint8Array;
}

/**
 * The receipts of one stream, at the stage: it signs for what it did every few positions, and the asker countersigns. A stage does not go
 * on for somebody who does not.
 */
export class StageReceipts {
	readonly #signer: EnvelopeSigner;
	readonly #terms: Terms;
	readonly #send: (envelope: Uint8Array) => void;
	readonly #countersignMs: number;
	readonly #refused: (error: ReceiptError) => void;
	#route: Pick<Receipt, "generation" | "route"> | undefined;
	/** Positions that an earlier stream had computed; undefined before the asker was told. */
	#taken: number | undefined;
	#asked = 0;
	/** What was sent and is not countersigned, oldest first. */
	#sent: Sent[] = [];
	#sealing: Promise<void> = Promise.resolve();
	#timer: ReturnType<typeof setTimeout> | undefined;
	#signed: SignedReceipt | undefined;
	#settle: (() => void) | undefined;

	constructor(init: {
		signer: EnvelopeSigner;
		terms: Terms;
		/** Brings an envelope to the asker. */
		send: (envelope: Uint8Array) => void;
		/** How long the asker may take to countersign, in milliseconds. */
		countersignMs: number;
		/** The asker does not countersign: the stage stops. */
		refused: (error: ReceiptError) => void;
	}) {
		this.#signer = init.signer;
		this.#terms = init.terms;
		this.#send = init.send;
		this.#countersignMs = init.countersignMs;
		this.#refused = init.refused;
	}

	/** The newest that both sides signed. */
	get signed(): SignedReceipt | undefined {
		return this.#signed;
	}

	/** The stream goes on by this route. */
	onRoute(route: Route): void {
		this.#route = { route: routeHash(route), generation: route.generation };
	}

	/** The asker is told that the stage is ready for the first time, and has so many positions of an earlier stream. */
	begin(taken: number): void {
		if (this.#taken !== undefined) return;
		this.#taken = taken;
		this.#asked = taken;
	}

	/** Whether a receipt is due at `positions`. */
	isDue(positions: number): boolean {
		return this.#taken !== undefined && positions >= this.#asked + RECEIPT_EVERY;
	}

	/** Signs for all work so far and sends it to the asker. */
	ask(work: Work): void {
		const [route, taken] = [this.#route, this.#taken];
		if (!route || taken === undefined || work.positions <= this.#asked) return;
		this.#asked = work.positions;
		const receipt: Receipt = {
			...this.#terms,
			...route,
			...work,
			taken,
			epoch: epochAt(Date.now()),
		};
		this.#sealing = this.#sealing.then(async () => {
			const payload = encodeCbor(receipt);
			const byPeer = await this.#signer.seal("receipt", payload);
			this.#sent.push({ receipt, payload, byPeer });
			this.#send(byPeer);
			this.#timer ??= setTimeout(() => this.#onSilence(), this.#countersignMs);
		});
	}

	/**
	 * Takes the asker's side of a receipt.
	 *
	 * @throws MalformedMessageError, InvalidSignatureError, EnvelopeTimeError, ReceiptError
	 */
	async onCountersigned(envelope: Uint8Array): Promise<void> {
		const { payload } = await openReceipt(envelope, this.#terms.asker);
		const at = this.#sent.findIndex((sent) => equalBytes(sent.payload, payload));
		// Of work that a newer receipt covers, or asked for on a line that broke.
		if (at < 0) return;
		const { receipt, byPeer } = this.#sent[at]!;
		this.#signed = { receipt, byPeer, byAsker: envelope };
		this.#sent.splice(0, at + 1);
		this.#restart();
	}

	/** The asker is away: what was sent may never have come, and nobody waits for it. The next receipt stands for all. */
	onAskerGone(): void {
		this.#sent = [];
		this.#asked = this.#signed?.receipt.positions ?? this.#taken ?? 0;
		this.#restart();
	}

	/** The stream has ended: resolves when the last receipt is countersigned, or a moment later. */
	async settled(): Promise<void> {
		await this.#sealing;
		if (this.#sent.length === 0) return;
		await new Promise<void>((resolve) => {
			const timer = setTimeout(resolve, LAST_RECEIPT_MS);
			this.#settle = () => {
				clearTimeout(timer);
				resolve();
			};
		});
		this.close();
	}

	close(): void {
		clearTimeout(this.#timer);
		this.#timer = undefined;
		this.#sent = [];
		this.#settle?.();
	}

	#restart(): void {
		clearTimeout(this.#timer);
		this.#timer = undefined;
		if (this.#sent.length > 0) this.#timer = setTimeout(() => this.#onSilence(), this.#countersignMs);
		else this.#settle?.();
	}

	#onSilence(): void {
		this.#timer = undefined;
		const [oldest] = this.#sent;
		if (!oldest || this.#settle) return;
		this.#refused(
			new ReceiptError("The asker does not sign for the work that was done.", {
				details: { positions: oldest.receipt.positions, signed: this.#signed?.receipt.positions ?? 0 },
			}),
		);
	}
}
