import type { Upgrader } from "@libp2p/interface";
import { type WebRTCTransportInit, webRTC } from "@libp2p/webrtc";

type WebRTCComponents = Parameters<ReturnType<typeof webRTC>>[0];

/**
 * `@libp2p/webrtc` without a race in its handshake. Both sides close the data channel `init`: the caller once it has
 * seen it open, the called side as soon as it learns of it. On a busy machine the called side is first, and then the
 * caller waits for the opening of a closed channel until its dial times out (seen in 6.0.33 with two tabs on two
 * cores). Here the called side leaves the closing to the caller, and never closes it: where Firefox has lost the caller's
 * closing (see `orderHandshakes` for pages), a second channel of the same id would say nothing for ever.
 *
 * This reaches for a private method; a version that does without it is left as it is.
 */
export function patientWebRTC(init: WebRTCTransportInit): ReturnType<typeof webRTC> {
	const factory = webRTC(init);
	return (components: WebRTCComponents) => {
		const { upgrader } = components;
		const patient = new Proxy(upgrader, {
			get(target, property) {
				if (property !== "upgradeInbound") return bound(target, property);
				const upgradeInbound: Upgrader["upgradeInbound"] = (connection, options) => {
					const muxers = options.muxerFactory;
					if (muxers) {
						const create = muxers.createStreamMuxer.bind(muxers);
						muxers.createStreamMuxer = (inner) => leaveInitOpen(create(inner));
					}
					return target.upgradeInbound(connection, options as never);
				};
				return upgradeInbound;
			},
		});
		return factory(
			// libp2p's components are a proxy themselves and cannot be spread.
			new Proxy(components, {
				get: (target, property) => (property === "upgrader" ? patient : Reflect.get(target, property)),
			}),
		);
	};
}

interface ChannelTaker {
	onDataChannel?: (channel: RTCDataChannel, early?: MessageEvent[]) => void;
}

function leaveInitOpen<Muxer>(muxer: Muxer): Muxer {
	const taker = muxer as ChannelTaker;
	const take = taker.onDataChannel?.bind(muxer);
	if (take) {
		taker.onDataChannel = (channel, early) => {
			if (channel.label !== "init") return take(channel, early);
			// A channel that nobody listens to may be collected as garbage, and is closed then.
			channel.addEventListener("close", () => {});
		};
	}
	return muxer;
}

function bound(target: object, property: PropertyKey): unknown {
	const value = Reflect.get(target, property) as unknown;
	return typeof value === "function" ? value.bind(target) : value;
}
