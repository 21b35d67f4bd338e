import { spawn } from "node:child_process";
import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const loopback = "127.0.0.1";

/** Where peers meet inside the server: another address than any peer's own, so that permissions can tell them apart. */
const relayAddress = "127.0.0.2";

/** coturn reads its configuration and opens its ports in less than one. */
const startMs = 10_000;
const probeEveryMs = 50;

/** Header of a STUN binding request (RFC 8489 §5) without attributes; the transaction id may be anything. */
const bindingRequest = Uint8Array.of(
	0,
	1,
	0,
	0,
	0x21,
	0x12,
	0xa4,
	0x42,
	1,
	2,
	3,
	4,
	5,
	6,
	7,
	8,
	9,
	10,
	11,
	12,
);

export const turnUser = { username: "lab", credential: "mesh" } as const;

export interface TurnServer {
	readonly port: number;
	readonly pid: number;
	/** Ends the server; nothing of it is left. */
	stop(): void;
}

/**
 * Runs coturn on loopback with a configuration of its own, until it answers.
 *
 * It carries nothing but what one allocation sends to another: whoever offers an address of its own is not reached by it.
 *
 * @throws Error where it does not come up
 */
export async function startTurnServer(path: string): Promise<TurnServer> {
	const folder = mkdtempSync(join(tmpdir(), "turn-"));
	const probe = createSocket("udp4");
	const port = await freePort();
	const config = join(folder, "turnserver.conf");
	writeFileSync(
		config,
		`${[
			`listening-ip=${loopback}`,
			`listening-port=${port}`,
			`relay-ip=${relayAddress}`,
			"allow-loopback-peers",
			"denied-peer-ip=0.0.0.0-255.255.255.255",
			`allowed-peer-ip=${relayAddress}`,
			"lt-cred-mech",
			`user=${turnUser.username}:${turnUser.credential}`,
			"realm=lab",
			"no-tcp",
			"no-tls",
			"no-dtls",
			"no-cli",
			"no-multicast-peers",
			"relay-threads=1",
			`userdb=${join(folder, "users")}`,
			`pidfile=${join(folder, "pid")}`,
			"log-file=stdout",
		].join("\n")}\n`,
	);
	const child = spawn(path, ["-c", config], { stdio: ["ignore", "pipe", "pipe"] });
	let said = "";
	for (const output of [child.stdout, child.stderr]) {
		output.setEncoding("utf8").on("data", (text: string) => {
			said = (said + text).slice(-4_000);
		});
	}
	const stop = (): void => {
		child.kill("SIGKILL");
		rmSync(folder, { recursive: true, force: true });
	};
	try {
		await Promise.race([
			answers(probe, port),
			once(child, "exit").then(() => {
				throw new Error(`coturn ended at once: ${said}`);
			}),
			once(child, "error").then(([error]) => {
				throw error;
			}),
		]);
	} catch (error) {
		stop();
		throw error;
	} finally {
		probe.close();
	}
	return { port, pid: child.pid!, stop };
}

async function freePort(): Promise<number> {
	const socket = createSocket("udp4");
	socket.bind(0, loopback);
	await once(socket, "listening");
	const { port } = socket.address();
	socket.close();
	return port;
}

async function answers(probe: Socket, port: number): Promise<void> {
	const answered = once(probe, "message", { signal: AbortSignal.timeout(startMs) });
	const ask = (): void => probe.send(bindingRequest, port, loopback);
	const timer = setInterval(ask, probeEveryMs);
	try {
		await answered;
	} finally {
		clearInterval(timer);
	}
}
