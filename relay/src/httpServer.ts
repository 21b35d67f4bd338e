import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import { InvalidParameterError, PortInUseError } from "@tabmesh/wire";
import type { HostName } from "./listenAddress.ts";

/**
 * Takes a port.
 *
 * @returns the port, which is another one where 0 was asked for
 * @throws PortInUseError, InvalidParameterError
 */
export function listen(server: Server, port: number, host: HostName): Promise<number> {
	return new Promise((resolve, reject) => {
		server.once("error", (cause: NodeJS.ErrnoException) => {
			if (cause.code === "EADDRINUSE") {
				reject(
					new PortInUseError(`Port ${port} on ${host} belongs to another program.`, {
						cause,
						details: { port },
						metaMessages: [
							`Choose another with --port, for example --port ${port < 65_535 ? port + 1 : 8787}.`,
						],
					}),
				);
			} else if (cause.code === "EACCES") {
				reject(
					new InvalidParameterError(`This user may not listen on port ${port}.`, {
						cause,
						details: { port },
						metaMessages: ["Choose a port above 1023 with --port."],
					}),
				);
			} else if (cause.code === "EADDRNOTAVAIL" || cause.code === "ENOTFOUND") {
				reject(
					new InvalidParameterError(`${host} is not an address of this machine.`, {
						cause,
						details: { host },
						metaMessages: ["Give one of its own addresses with --host, or 0.0.0.0 for all of them."],
					}),
				);
			} else reject(cause);
		});
		server.listen({ port, host }, () => resolve((server.address() as AddressInfo).port));
	});
}

/** Waits for running answers, at most `drainMs`; connections that only wait for another request end at once. */
export function closeServers(servers: readonly Server[], drainMs: number): Promise<void> {
	return new Promise((resolve) => {
		let open = servers.length;
		const deadline = performance.now() + drainMs;
		const sweep = setInterval(() => {
			for (const server of servers) {
				if (performance.now() < deadline) server.closeIdleConnections();
				else server.closeAllConnections();
			}
		}, 50);
		for (const server of servers) {
			server.close(() => {
				open--;
				if (open > 0) return;
				clearInterval(sweep);
				resolve();
			});
			server.closeIdleConnections();
		}
	});
}
