import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import type { BrowserContext } from "playwright-core";
import type { LineCounts, LineQuality } from "./slowLine.ts";
import { turnUser } from "./turnServer.ts";

/** The lab's process answers in milliseconds; only the start takes longer. */
const answerMs = 20_000;

/** To the lab's process. */
export interface LabOrder {
	readonly quality?: LineQuality;
}

/** From it: the line's port and the server's process first, then what was counted, once for each order. */
export type LabAnswer =
	| { readonly port: number; readonly serverPid: number }
	| { readonly counts: LineCounts };

/**
 * A network between the peers of one machine: real ICE, DTLS and SCTP through a TURN server, and before that a line that
 * delays and loses datagrams. Every path from one peer to another takes the asked delay once.
 */
export interface LatencyLab {
	/** To be the peers' only one. It reaches nobody but who uses it, too. */
	readonly iceServer: { readonly urls: string; readonly username: string; readonly credential: string };
	/** The same as `tabmesh start --ice-server` takes it. */
	readonly iceServerUri: string;
	readonly serverPid: number;
	/** From now on, for everybody. Returns what happened since the last call. */
	set(quality: LineQuality): Promise<LineCounts>;
	/** What happened since the last call. */
	counts(): Promise<LineCounts>;
	stop(): Promise<void>;
}

/**
 * Starts the lab, without delay or loss at first, so that what is to be measured is set up quickly.
 *
 * @param turnserver - path of coturn's program, as `ensureCoturn` gives it
 * @param seed - decides which datagrams are lost, and jitter
 * @throws Error where coturn does not start
 */
export async function startLatencyLab(turnserver: string, seed = 1): Promise<LatencyLab> {
	const child = fork(fileURLToPath(new URL("labProcess.ts", import.meta.url)), [turnserver, String(seed)]);
	const ended = once(child, "exit");
	const first = await nextAnswer(child, ended).catch((error) => {
		child.kill();
		throw error;
	});
	const { port, serverPid } = first as Extract<LabAnswer, { port: number }>;
	const ask = async (order: LabOrder): Promise<LineCounts> => {
		const answer = nextAnswer(child, ended);
		child.send(order);
		return ((await answer) as Extract<LabAnswer, { counts: LineCounts }>).counts;
	};
	const { username, credential } = turnUser;
	return {
		iceServer: { urls: `turn:127.0.0.1:${port}?transport=udp`, username, credential },
		iceServerUri: `turn:${username}:${credential}@127.0.0.1:${port}?transport=udp`,
		serverPid,
		set: (quality) => ask({ quality }),
		counts: () => ask({}),
		async stop() {
			child.kill();
			await ended;
		},
	};
}

async function nextAnswer(child: ChildProcess, ended: Promise<unknown[]>): Promise<LabAnswer> {
	const answer = once(child, "message", { signal: AbortSignal.timeout(answerMs) });
	const [message] = await Promise.race([
		answer,
		ended.then(([code]) => {
			throw new Error(`The latency lab ended with ${code}.`);
		}),
	]);
	return message as LabAnswer;
}

/** Flags with which Chromium reaches a TURN server on loopback. */
export const labFlags: readonly string[] = ["--allow-loopback-in-peer-connection"];

/** Pages of this context that are opened from now on meet others through TURN servers only. */
export async function relayOnly(context: BrowserContext): Promise<void> {
	await context.addInitScript(() => {
		const Original = globalThis.RTCPeerConnection;
		globalThis.RTCPeerConnection = class extends Original {
			constructor(configuration?: RTCConfiguration) {
				super({ ...configuration, iceTransportPolicy: "relay" });
			}
		};
	});
}
