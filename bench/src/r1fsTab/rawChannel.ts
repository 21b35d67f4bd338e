// A bare RTCDataChannel, driven as fast as the browser lets one: what any transfer between tabs is measured against.

/** How a channel is driven. */
export interface RawSettings {
	readonly messageBytes: number;
	/** Bytes that may wait in the channel. Chrome closes one beyond 16 MiB. */
	readonly highWater: number;
}

const connections = new Map<string, { connection: RTCPeerConnection; channel?: RTCDataChannel }>();

async function described(connection: RTCPeerConnection): Promise<RTCSessionDescriptionInit> {
	while (connection.iceGatheringState !== "complete") await new Promise((done) => setTimeout(done, 10));
	return connection.localDescription!.toJSON();
}

/** The receiving side begins. */
export async function offer(name: string): Promise<RTCSessionDescriptionInit> {
	const connection = new RTCPeerConnection();
	const channel = connection.createDataChannel("raw");
	channel.binaryType = "arraybuffer";
	connections.set(name, { connection, channel });
	await connection.setLocalDescription();
	return described(connection);
}

/** The sending side answers; it sends as many bytes as it is asked for, and as it is asked to. */
export async function answer(offer: RTCSessionDescriptionInit): Promise<RTCSessionDescriptionInit> {
	const connection = new RTCPeerConnection();
	connections.set("sender", { connection });
	connection.ondatachannel = ({ channel }) => {
		channel.onmessage = async ({ data }) => {
			const { bytes, messageBytes, highWater } = JSON.parse(data) as RawSettings & { bytes: number };
			channel.bufferedAmountLowThreshold = highWater / 2;
			const message = new Uint8Array(messageBytes);
			for (let left = bytes; left > 0; left -= messageBytes) {
				if (channel.bufferedAmount > highWater) {
					await new Promise((low) => channel.addEventListener("bufferedamountlow", low, { once: true }));
				}
				channel.send(message.subarray(0, Math.min(left, messageBytes)));
			}
		};
	};
	await connection.setRemoteDescription(offer);
	await connection.setLocalDescription();
	return described(connection);
}

export async function accept(name: string, answer: RTCSessionDescriptionInit): Promise<void> {
	const { connection, channel } = connections.get(name)!;
	await connection.setRemoteDescription(answer);
	while (channel!.readyState !== "open") await new Promise((done) => setTimeout(done, 5));
}

/** Milliseconds until `bytes` in all came over the named channels, each giving an equal part. */
export async function receive(names: string[], bytes: number, settings: RawSettings): Promise<number> {
	const start = performance.now();
	await Promise.all(
		names.map(
			(name) =>
				new Promise<void>((done) => {
					const { channel } = connections.get(name)!;
					let left = Math.ceil(bytes / names.length);
					channel!.onmessage = ({ data }) => {
						left -= (data as ArrayBuffer).byteLength;
						if (left <= 0) done();
					};
					channel!.send(JSON.stringify({ bytes: left, ...settings }));
				}),
		),
	);
	return performance.now() - start;
}
