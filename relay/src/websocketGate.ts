import type { IncomingMessage } from "node:http";
import { connect, type Socket } from "node:net";
import type { Duplex } from "node:stream";
import type { ConnectionLimiter } from "./connectionRate.ts";

export interface WebsocketGateInit {
	/** Loopback port of the libp2p WebSocket listener. */
	port: number;
	limiter: ConnectionLimiter;
	/** Sockets open at once, all addresses together. */
	maxSockets: number;
	/** Called for every upgrade that is not let in. */
	onRefused?: (reason: "rate" | "full" | "path" | "listener", address: string) => void;
}

/** Hands WebSocket upgrades of the public port on to the libp2p listener behind it. */
export interface WebsocketGate {
	/** The listener for a server's `upgrade` event. */
	readonly upgrade: (request: IncomingMessage, socket: Duplex, head: Buffer) => void;
	readonly openSockets: number;
	/** Ends every socket that is still open. */
	close(): void;
}

function refuse(socket: Duplex, status: string, extra = ""): void {
	socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n${extra}\r\n`);
}

/**
 * Creates the gate. It copies bytes both ways and understands nothing of them: TLS ends here, libp2p begins behind.
 * Because every connection then comes from 127.0.0.1, what one client may do is limited here and not in libp2p.
 */
export function createWebsocketGate(init: WebsocketGateInit): WebsocketGate {
	const sockets = new Map<Duplex, Socket>();

	function upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
		const address = request.socket.remoteAddress ?? "unknown";
		socket.on("error", () => socket.destroy());
		if (request.headers.upgrade?.toLowerCase() !== "websocket" || !/^\/(\?|$)/.test(request.url ?? "")) {
			init.onRefused?.("path", address);
			refuse(socket, "404 Not Found");
			return;
		}
		if (sockets.size >= init.maxSockets) {
			init.onRefused?.("full", address);
			refuse(socket, "503 Service Unavailable", "Retry-After: 30\r\n");
			return;
		}
		if (!init.limiter.take(address)) {
			init.onRefused?.("rate", address);
			refuse(socket, "429 Too Many Requests", "Retry-After: 2\r\n");
			return;
		}
		const inner = connect({ port: init.port, host: "127.0.0.1", noDelay: true });
		sockets.set(socket, inner);
		const end = (): void => {
			sockets.delete(socket);
			socket.destroy();
			inner.destroy();
		};
		inner.on("error", () => {
			if (!inner.bytesRead) {
				init.onRefused?.("listener", address);
				refuse(socket, "502 Bad Gateway");
			}
			end();
		});
		inner.on("close", end);
		socket.on("close", end);
		inner.on("connect", () => {
			const lines = [`GET / HTTP/1.1`];
			for (let i = 0; i + 1 < request.rawHeaders.length; i += 2) {
				lines.push(`${request.rawHeaders[i]}: ${request.rawHeaders[i + 1]}`);
			}
			inner.write(`${lines.join("\r\n")}\r\n\r\n`, "latin1");
			if (head.byteLength > 0) inner.write(head);
			socket.pipe(inner);
			inner.pipe(socket);
		});
		// Small signalling messages must not wait for Nagle, and a dead client must not hold a reservation for hours.
		request.socket.setNoDelay(true);
		request.socket.setKeepAlive(true, 30_000);
		request.socket.setTimeout(0);
	}

	return {
		upgrade,
		get openSockets() {
			return sockets.size;
		},
		close() {
			for (const [socket, inner] of sockets) {
				socket.destroy();
				inner.destroy();
			}
			sockets.clear();
		},
	};
}
