import type { MessageStream, Peer } from "@tabmesh/transport";
import {
	FloodError,
	InvalidCidError,
	MalformedMessageError,
	MessageTooLargeError,
	TimeoutError,
} from "@tabmesh/wire";
import type { CID } from "multiformats/cid";
import type { BlockStore } from "../blockStore.ts";
import { blockProtocol, decodeAsk, encodeAnswer, waitingWants } from "./blockProtocol.ts";

export interface ServeBlocksInit {
	peer: Peer;
	store: BlockStore;
	/** Whether this peer may have anything now. @default everyone */
	maySend?: (peer: string) => boolean;
	/** Told of every block that left. */
	onSent?: (peer: string, bytes: number) => void;
}

/** Peers that are served at once: each holds two blocks at most. */
const servedAtOnce = 32;

/** How long a peer may take to make room for one block: a slow phone's minute for 2 MiB. */
const sendTimeoutMs = 60_000;

/** A stream on which nothing was asked for that long is ended; the asker opens another. */
const idleMs = 120_000;

/** Blocks that are read while the one before is still being sent. */
const readAhead = 2;

/**
 * Gives blocks to peers that ask for them, until the returned function is called.
 *
 * Bounded whatever is asked: {@link waitingWants} wants of one peer, one of them being sent and the next being read.
 * A peer beyond that is reported (`flood`) and cut off; nobody else notices.
 */
export function serveBlocks(init: ServeBlocksInit): () => void {
	const { peer, store } = init;
	let served = 0;

	async function serve(stream: MessageStream): Promise<void> {
		if (served >= servedAtOnce) throw new FloodError("This peer gives blocks to as many others as it can.");
		served++;
		const waiting = new Map<number, CID>();
		let wake = Promise.withResolvers<void>();
		let asked = true;
		let idle: ReturnType<typeof setTimeout> | undefined;
		const rest = (): void => {
			clearTimeout(idle);
			idle = setTimeout(() => stream.abort(new TimeoutError("Nothing was asked for.")), idleMs);
		};

		async function answerAll(): Promise<void> {
			const sends: Promise<void>[] = [];
			while (true) {
				const next = waiting.entries().next();
				if (next.done) {
					if (!asked) break;
					await wake.promise;
					wake = Promise.withResolvers<void>();
					continue;
				}
				const [number, cid] = next.value;
				waiting.delete(number);
				const allowed = init.maySend?.(stream.remote) ?? true;
				const block = allowed ? await store.get(cid).catch(() => undefined) : undefined;
				const sent = send(stream, encodeAnswer({ number, block }));
				sent.then(
					() => block && init.onSent?.(stream.remote, block.byteLength),
					() => {},
				);
				sends.push(sent);
				if (sends.length >= readAhead) await sends.shift();
				rest();
			}
			await Promise.all(sends);
		}

		const answering = answerAll();
		// A failed send ends the loop below by aborting the stream.
		answering.catch((error) => stream.abort(error));
		try {
			rest();
			for await (const message of stream) {
				const { wants, cancels } = decodeAsk(message);
				for (const number of cancels) waiting.delete(number);
				for (const { number, cid } of wants) waiting.set(number, cid);
				if (waiting.size > waitingWants)
					throw new FloodError(`More than ${waitingWants} blocks are asked for at once.`);
				rest();
				wake.resolve();
			}
			asked = false;
			wake.resolve();
			await answering;
		} catch (error) {
			waiting.clear();
			asked = false;
			wake.resolve();
			if (error instanceof FloodError) peer.report(stream.remote, "flood");
			else if (
				error instanceof MalformedMessageError ||
				error instanceof MessageTooLargeError ||
				error instanceof InvalidCidError
			) {
				peer.report(stream.remote, "malformed");
			}
			throw error;
		} finally {
			clearTimeout(idle);
			served--;
		}
	}

	return peer.serve(blockProtocol, serve);
}

async function send(stream: MessageStream, message: readonly Uint8Array[]): Promise<void> {
	const timeout = AbortSignal.timeout(sendTimeoutMs);
	try {
		await stream.send(message, { signal: timeout });
	} catch (error) {
		if (timeout.aborted) throw new TimeoutError("A peer does not take the blocks it asked for.");
		throw error;
	}
}
