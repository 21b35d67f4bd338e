import type { Page } from "playwright-core";
import { median } from "./report.ts";

interface RawChannel {
	connection: RTCPeerConnection;
	channel?: RTCDataChannel;
}
declare global {
	var rawChannel: RawChannel;
}

/**
 * Median round trip in milliseconds of `bytes` bytes over a bare RTCDataChannel between two pages: what the browser
 * itself costs, without libp2p or any code of ours.
 *
 * @param pauseMs - rest between two round trips; 0 measures a channel that never cools down, which no ring's does
 * @param iceServers - STUN and TURN servers of both sides
 */
export async function rawRoundTripMs(
	caller: Page,
	answerer: Page,
	bytes: number,
	rounds: number,
	pauseMs = 0,
	iceServers: RTCIceServer[] = [],
): Promise<number> {
	const offer = await caller.evaluate(async (iceServers) => {
		const connection = new RTCPeerConnection({ iceServers });
		globalThis.rawChannel = { connection, channel: connection.createDataChannel("raw") };
		await connection.setLocalDescription();
		while (connection.iceGatheringState !== "complete") await new Promise((done) => setTimeout(done, 10));
		return connection.localDescription!.toJSON();
	}, iceServers);
	const answer = await answerer.evaluate(
		async ({ offer, iceServers }) => {
			const connection = new RTCPeerConnection({ iceServers });
			globalThis.rawChannel = { connection };
			connection.ondatachannel = ({ channel }) => {
				channel.binaryType = "arraybuffer";
				channel.onmessage = ({ data }) => channel.send(data);
			};
			await connection.setRemoteDescription(offer);
			await connection.setLocalDescription();
			while (connection.iceGatheringState !== "complete") await new Promise((done) => setTimeout(done, 10));
			return connection.localDescription!.toJSON();
		},
		{ offer: offer as RTCSessionDescriptionInit, iceServers },
	);
	const times = await caller.evaluate(
		async ({ answer, bytes, rounds, pauseMs }) => {
			const { connection, channel } = globalThis.rawChannel;
			await connection.setRemoteDescription(answer);
			if (!channel) throw new Error("no channel");
			channel.binaryType = "arraybuffer";
			while (channel.readyState !== "open") await new Promise((done) => setTimeout(done, 5));
			const payload = new Uint8Array(bytes);
			const times: number[] = [];
			for (let round = 0; round < rounds; round++) {
				if (pauseMs > 0) await new Promise((done) => setTimeout(done, pauseMs));
				const start = performance.now();
				await new Promise((done) => {
					channel.onmessage = done;
					channel.send(payload);
				});
				times.push(performance.now() - start);
			}
			connection.close();
			return times;
		},
		{ answer: answer as RTCSessionDescriptionInit, bytes, rounds, pauseMs },
	);
	await answerer.evaluate(() => globalThis.rawChannel.connection.close());
	return median(times.slice(Math.floor(rounds / 10)));
}
