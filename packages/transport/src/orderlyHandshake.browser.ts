let ordered = false;

/**
 * Lets the dials of `@libp2p/webrtc` pay no heed to how their channel `init` ends; called once per page, before the
 * first dial. Without that channel there would be nothing to offer, and nothing is ever sent through it.
 *
 * The library dials on when it is closed, and a channel is closed when the other side has closed it, too. Firefox never
 * does that where it is told of the channel and of its closing in one moment: it shows the channel as open from then on
 * (seen in 153). One dial in four from Chromium to Firefox waited for this until its deadline. So here it counts as closed
 * as soon as we close it. Its id stays taken until it really is.
 *
 * Where the connection fails first, the channel closes without an `error`, and the library would wait for its opening.
 */
export function orderHandshakes(): void {
	if (ordered) return;
	ordered = true;
	const { createDataChannel } = RTCPeerConnection.prototype;
	RTCPeerConnection.prototype.createDataChannel = function (label, options) {
		const channel = createDataChannel.call(this, label, options);
		// Others in this page may have connections of their own.
		if (label === "init" && this.connectionState === "new") endAtOnce(channel);
		return channel;
	};
}

function endAtOnce(channel: RTCDataChannel): void {
	const lost = (): void => void channel.dispatchEvent(new Event("error"));
	channel.addEventListener("close", lost);
	channel.close = () => {
		channel.removeEventListener("close", lost);
		RTCDataChannel.prototype.close.call(channel);
		// Whoever closes it listens for this from the next line on.
		queueMicrotask(() => channel.dispatchEvent(new Event("close")));
	};
}
