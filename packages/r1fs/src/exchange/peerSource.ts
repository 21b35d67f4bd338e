import type { MessageStream, Peer } from "@tabmesh/transport";
import { MalformedMessageError, ProtocolViolationError, StreamResetError } from "@tabmesh/wire";
import type { Want } from "../readFile.ts";
import { blockProtocol, decodeAnswer, encodeAsk } from "./blockProtocol.ts";
import { BlockMissing, type BlockSource } from "./blockSource.ts";

/** How long a dial may take: WebRTC through a relay and a TURN server, on a phone. */
const openTimeoutMs = 15_000;

interface Waiting {
	resolve(bytes: Uint8Array): void;
	reject(error: Error): void;
}

/** A peer's blocks, over one stream that is opened at the first want and again after a loss. */
export function createPeerSource(peer: Peer, remote: string): BlockSource {
	let opening: Promise<MessageStream> | undefined;
	let current: MessageStream | undefined;
	let waiting = new Map<number, Waiting>();
	let number = 0;
	let closed = false;

	function open(): Promise<MessageStream> {
		opening ??= (async () => {
			try {
				const stream = await peer.open(remote, blockProtocol, { timeoutMs: openTimeoutMs });
				if (closed) {
					void stream.close();
					throw new StreamResetError("The source was closed.");
				}
				current = stream;
				number = 0;
				waiting = new Map();
				void listen(stream, waiting);
				return stream;
			} catch (error) {
				opening = undefined;
				throw error;
			}
		})();
		return opening;
	}

	async function listen(stream: MessageStream, waiting: Map<number, Waiting>): Promise<void> {
		let failure: Error = new StreamResetError("The peer ended the stream.");
		try {
			for await (const message of stream) {
				const answer = decodeAnswer(message);
				const want = waiting.get(answer.number);
				waiting.delete(answer.number);
				// An answer to what was cancelled is late, not wrong; one to what was never asked is.
				if (!want && answer.number >= number)
					throw new ProtocolViolationError("A block came that nobody asked for.");
				if (answer.block) want?.resolve(answer.block);
				else want?.reject(new BlockMissing());
			}
		} catch (error) {
			failure = error as Error;
			if (error instanceof MalformedMessageError) peer.report(remote, "malformed");
			if (error instanceof ProtocolViolationError) peer.report(remote, "violation");
			stream.abort(failure);
		}
		if (current === stream) {
			current = undefined;
			opening = undefined;
		}
		for (const { reject } of waiting.values()) reject(failure);
		waiting.clear();
		await stream.close().catch(() => {});
	}

	return {
		name: remote,
		maxInFlight: 16,
		offers: () => true,
		async fetch(want: Want, signal: AbortSignal) {
			signal.throwIfAborted();
			const stream = await open();
			signal.throwIfAborted();
			const mine = number++;
			const asked = waiting;
			const { promise, resolve, reject } = Promise.withResolvers<Uint8Array>();
			asked.set(mine, { resolve, reject });
			const cancel = (): void => {
				if (!asked.delete(mine)) return;
				reject(signal.reason);
				stream.send(encodeAsk({ wants: [], cancels: [mine] })).catch(() => {});
			};
			signal.addEventListener("abort", cancel, { once: true });
			try {
				await stream.send(encodeAsk({ wants: [{ number: mine, cid: want.cid }], cancels: [] }));
				return await promise;
			} finally {
				promise.catch(() => {});
				asked.delete(mine);
				signal.removeEventListener("abort", cancel);
			}
		},
		accuse(offence) {
			peer.report(remote, offence);
			current?.abort(new StreamResetError("The peer's blocks are not taken any more."));
		},
		close() {
			closed = true;
			void current?.close();
		},
	};
}
