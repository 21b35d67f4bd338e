import { isIP } from "node:net";
import { networkInterfaces } from "node:os";
import { InvalidParameterError } from "@tabmesh/wire";

/** A name by which a server can be reached: a DNS name, or an IP address without brackets. */
export type HostName = string;

const dnsName =
	/^(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*$/i;

/** Whether only this machine can reach a server that listens on `host`. */
export function isLoopback(host: HostName): boolean {
	const name = host.replace(/^::ffff:/i, "");
	return (
		name === "localhost" || name.endsWith(".localhost") || name === "::1" || /^127\.\d+\.\d+\.\d+$/.test(name)
	);
}

/**
 * A port number from text.
 *
 * @throws InvalidParameterError when it is not an integer from 0 (any free port) to 65535
 */
export function parsePort(text: string, option = "--port"): number {
	const port = Number(text);
	if (!/^\d{1,5}$/.test(text) || port > 65_535) {
		throw new InvalidParameterError(`${option} takes a port from 0 to 65535, not "${text.slice(0, 32)}".`, {
			details: { option },
		});
	}
	return port;
}

/**
 * A host name or address to listen on.
 *
 * @throws InvalidParameterError when it is neither a DNS name nor an IP address
 */
export function parseHost(text: string, option = "--host"): HostName {
	const host = text.replace(/^\[(.*)\]$/, "$1");
	if (isIP(host) === 0 && !dnsName.test(host)) {
		throw new InvalidParameterError(
			`${option} takes a host name or an IP address, not "${text.slice(0, 64)}".`,
			{ details: { option } },
		);
	}
	return host;
}

/** The names and addresses by which others can reach a server that listens on `host`, best first. */
export function reachableHosts(host: HostName): HostName[] {
	if (host !== "0.0.0.0" && host !== "::") return [host];
	const hosts: HostName[] = [];
	for (const addresses of Object.values(networkInterfaces())) {
		for (const address of addresses ?? []) {
			// Link-local IPv6 addresses need a zone, which no browser takes in a URL.
			if (!address.internal && !address.address.startsWith("fe80:")) hosts.push(address.address);
		}
	}
	hosts.sort((a, b) => isIP(a) - isIP(b));
	return [...hosts, "127.0.0.1"];
}

/** `host` as it stands in a URL. */
export function urlHost(host: HostName): string {
	return isIP(host) === 6 ? `[${host}]` : host;
}

/**
 * Host and port from a request's `Host` header, or undefined when it is not one: the header is a stranger's text and
 * goes into addresses that we answer with.
 */
export function parseHostHeader(
	header: string | undefined,
): { host: HostName; port: number | undefined } | undefined {
	const match = /^(\[[0-9a-f:.]{2,45}\]|[^:[\]]{1,253})(?::(\d{1,5}))?$/i.exec(header ?? "");
	if (!match) return undefined;
	const host = match[1]!.replace(/^\[(.*)\]$/, "$1");
	const port = match[2] === undefined ? undefined : Number(match[2]);
	if (isIP(host) === 0 && !dnsName.test(host)) return undefined;
	if (port !== undefined && (port === 0 || port > 65_535)) return undefined;
	return { host, port };
}

/** The multiaddr of a WebSocket server, without its `/p2p/…`. */
export function websocketMultiaddr(host: HostName, port: number, secure: boolean): string {
	const version = isIP(host);
	const name = version === 4 ? "ip4" : version === 6 ? "ip6" : "dns4";
	return `/${name}/${host}/tcp/${port}${secure ? "/tls" : ""}/ws`;
}
