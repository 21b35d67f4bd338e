import { RTCPeerConnection } from "node-datachannel/polyfill";

/** The polyfill is an EventTarget, which its own types do not say. */
type PeerConnection = EventTarget & {
	readonly signalingState: RTCSignalingState;
	readonly connectionState: RTCPeerConnectionState;
	setRemoteDescription(description: RTCSessionDescriptionInit): Promise<void>;
	createDataChannel(label: string, options?: RTCDataChannelInit): RTCDataChannel;
};

let ordered = false;

/**
 * Keeps node-datachannel's handshake in order where it races with itself; called once per process, before the first
 * dial.
 *
 * The calling side's candidates are held back until it has taken the answer. Else, on loopback, the called side's
 * checks run ahead of the answer, and DTLS may finish while libdatachannel is still storing the fingerprint to compare
 * with: "certificate verify failed", and both connections close (one dial in fifteen on two busy cores, 0.33.4); or a
 * ClientHello comes before there is somebody to take it, and the handshake waits a second for the next one
 * (libdatachannel pull request 1554).
 *
 * A data channel whose connection closes before it opens gets an `error` event, as in browsers; else libp2p waits for
 * its opening until the dial times out.
 */
export function orderHandshakes(): void {
	if (ordered) return;
	ordered = true;
	const connection = RTCPeerConnection.prototype as unknown as PeerConnection;
	const { setRemoteDescription, createDataChannel } = connection;
	const held = new WeakMap<EventTarget, Event[]>();
	const opening = new WeakMap<EventTarget, RTCDataChannel>();

	connection.dispatchEvent = function (this: PeerConnection, event) {
		if (event.type === "icecandidate" && this.signalingState === "have-local-offer") {
			const events = held.get(this);
			if (events) events.push(event);
			else held.set(this, [event]);
			return true;
		}
		return EventTarget.prototype.dispatchEvent.call(this, event);
	};

	connection.setRemoteDescription = async function (this: PeerConnection, description) {
		await setRemoteDescription.call(this, description);
		const events = held.get(this) ?? [];
		held.delete(this);
		for (const event of events) EventTarget.prototype.dispatchEvent.call(this, event);
	};

	connection.createDataChannel = function (this: PeerConnection, label, options) {
		const channel = createDataChannel.call(this, label, options);
		if (this.connectionState !== "connected" && !opening.has(this)) {
			// The first one, which libp2p waits for.
			opening.set(this, channel);
			this.addEventListener("connectionstatechange", () => {
				if (this.connectionState !== "failed" && this.connectionState !== "closed") return;
				if (channel.readyState === "connecting") channel.dispatchEvent(new Event("error"));
			});
		}
		return channel;
	};
}
