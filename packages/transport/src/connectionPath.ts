import type { Connection } from "@libp2p/interface";
import type { ConnectionView } from "./peer.ts";

/** The WebRTC connection beneath a libp2p one. libp2p does not show it; undefined where a future version hides it elsewhere. */
export function peerConnectionOf(connection: Connection): RTCPeerConnection | undefined {
	const { maConn } = connection as unknown as { maConn?: { peerConnection?: RTCPeerConnection } };
	return maConn?.peerConnection;
}

/** What the address alone says: `direct` until {@link usesTurn} is asked. */
export function pathOf(connection: Connection): Exclude<ConnectionView["path"], "turn"> {
	const names = connection.remoteAddr.getComponents().map(({ name }) => name);
	if (names.includes("webrtc")) return "direct";
	return names.includes("p2p-circuit") ? "relayed" : "socket";
}

/** Whether the candidate pair in use runs through a TURN server on either side. */
export async function usesTurn(connection: Connection): Promise<boolean> {
	const peerConnection = peerConnectionOf(connection);
	if (!peerConnection) return false;
	const stats = new Map<string, Record<string, unknown>>();
	try {
		// biome-ignore lint/suspicious/useIterableCallbackReturn: RTCStatsReport is no array
		(await peerConnection.getStats()).forEach((report: { id: string }) =>
			stats.set(report.id, report as unknown as Record<string, unknown>),
		);
	} catch {
		return false;
	}
	let pair: Record<string, unknown> | undefined;
	for (const report of stats.values()) {
		if (report.type === "transport" && typeof report.selectedCandidatePairId === "string") {
			pair = stats.get(report.selectedCandidatePairId);
		}
	}
	// Firefox has no transport report; it marks the pair itself.
	pair ??= [...stats.values()].find((report) => report.type === "candidate-pair" && report.selected === true);
	const ends = [pair?.localCandidateId, pair?.remoteCandidateId].map((id) => stats.get(String(id)));
	return ends.some((candidate) => candidate?.candidateType === "relay");
}
