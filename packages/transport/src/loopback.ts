import type { ComponentLogger, Stream } from "@libp2p/interface";
import { AbstractStream, type AbstractStreamInit, type SendResult } from "@libp2p/utils";

/** One end of a stream that never leaves this device: what is sent here arrives there one microtask later. */
class LoopbackStream extends AbstractStream {
	#far: LoopbackStream | undefined;

	static pair(init: Omit<AbstractStreamInit, "direction">): [LoopbackStream, LoopbackStream] {
		const near = new LoopbackStream({ ...init, direction: "outbound" });
		const far = new LoopbackStream({ ...init, direction: "inbound" });
		near.#far = far;
		far.#far = near;
		return [near, far];
	}

	override sendData(data: Parameters<AbstractStream["sendData"]>[0]): SendResult {
		// A copy, as of every transport: the sender may use its memory again.
		const bytes = data.slice();
		this.#later((far) => far.onData(bytes));
		return { sentBytes: bytes.byteLength, canSendMore: true };
	}

	override sendReset(): void {
		this.#later((far) => far.onRemoteReset());
	}

	override async sendCloseWrite(): Promise<void> {
		this.#later((far) => far.onRemoteCloseWrite());
	}

	override async sendCloseRead(): Promise<void> {
		this.#later((far) => far.onRemoteCloseRead());
	}

	override sendPause(): void {}

	override sendResume(): void {}

	#later(deliver: (far: LoopbackStream) => void): void {
		const far = this.#far!;
		queueMicrotask(() => {
			if (far.status === "open" || far.status === "closing") deliver(far);
		});
	}
}

/** The two ends of a stream from this peer to itself. */
export function loopbackPair(protocol: string, logger: ComponentLogger): [near: Stream, far: Stream] {
	return LoopbackStream.pair({
		id: "loopback",
		protocol,
		log: logger.forComponent("tabmesh:loopback"),
	});
}
