import { InvalidParameterError } from "@tabmesh/wire";
import fc from "fast-check";
import { expect, test } from "vitest";
import {
	isLoopback,
	parseHost,
	parseHostHeader,
	parsePort,
	urlHost,
	websocketMultiaddr,
} from "./listenAddress.ts";

test("ports are whole numbers from 0 to 65535 and nothing else", () => {
	expect(parsePort("8787")).toBe(8787);
	expect(parsePort("0")).toBe(0);
	for (const bad of ["", "-1", "65536", "80.5", "0x50", "1e3", " 80", "http", "999999"]) {
		expect(() => parsePort(bad)).toThrow(InvalidParameterError);
	}
});

test("hosts are names or addresses", () => {
	expect(parseHost("0.0.0.0")).toBe("0.0.0.0");
	expect(parseHost("[::1]")).toBe("::1");
	expect(parseHost("my-laptop.local")).toBe("my-laptop.local");
	for (const bad of ["", "a b", "http://x", "x:80", "-x", "x/y", "a..b"]) {
		expect(() => parseHost(bad)).toThrow(InvalidParameterError);
	}
});

test("loopback is what only this machine reaches", () => {
	for (const host of ["localhost", "127.0.0.1", "127.8.0.1", "::1", "::ffff:127.0.0.1", "x.localhost"]) {
		expect(isLoopback(host)).toBe(true);
	}
	for (const host of [
		"0.0.0.0",
		"::",
		"192.168.1.5",
		"localhost.example.org",
		"127.0.0.1.example.org",
		"fe80::1",
	]) {
		expect(isLoopback(host)).toBe(false);
	}
});

test("a Host header is taken apart, or not at all", () => {
	expect(parseHostHeader("localhost:8787")).toEqual({ host: "localhost", port: 8787 });
	expect(parseHostHeader("[::1]:80")).toEqual({ host: "::1", port: 80 });
	expect(parseHostHeader("example.org")).toEqual({ host: "example.org", port: undefined });
	for (const bad of [undefined, "", "a/b", "a:b", "a:0", "a:70000", "[x]", "a b", "a\nb", "::1"]) {
		expect(parseHostHeader(bad)).toBeUndefined();
	}
});

test("whatever a Host header holds, no multiaddr made of it gains a part", () => {
	fc.assert(
		fc.property(
			fc.oneof(
				fc.string({ unit: "binary" }),
				fc.domain(),
				fc.ipV4(),
				fc.ipV6().map((ip) => `[${ip}]:1`),
			),
			(header) => {
				const parsed = parseHostHeader(header);
				if (parsed) expect(websocketMultiaddr(parsed.host, 1, true).split("/")).toHaveLength(7);
			},
		),
		{ numRuns: Number(process.env.FUZZ_RUNS ?? 10_000) },
	);
});

test("addresses of IPv6 stand in brackets in a URL and bare in a multiaddr", () => {
	expect(urlHost("::1")).toBe("[::1]");
	expect(websocketMultiaddr("::1", 1, false)).toBe("/ip6/::1/tcp/1/ws");
	expect(websocketMultiaddr("example.org", 443, true)).toBe("/dns4/example.org/tcp/443/tls/ws");
});
