import { InvalidParameterError } from "@tabmesh/wire";
import { expect, test } from "vitest";
import {
	formatSize,
	parseCount,
	parseIceServer,
	parseNumber,
	parseRelayUrl,
	parseRoom,
	parseRpcUrl,
	parseSize,
	parseTokens,
} from "./optionValues.ts";

function refused(parse: (text: string) => unknown, ...bad: string[]): void {
	for (const text of bad) {
		expect(() => parse(text), JSON.stringify(text)).toThrow(InvalidParameterError);
		expect(() => parse(text)).toThrow(/^--x /);
	}
}

test("sizes are read as people write them: MB by thousands, MiB by 1024", () => {
	expect(parseSize("500MB", "--x")).toBe(500e6);
	expect(parseSize("1.5 GiB", "--x")).toBe(1.5 * 2 ** 30);
	expect(parseSize("2g", "--x")).toBe(2e9);
	expect(parseSize("1048576", "--x")).toBe(2 ** 20);
	refused(
		(text) => parseSize(text, "--x"),
		"",
		"much",
		"-1GB",
		"1e9",
		"10",
		"1XB",
		"1.2.3GB",
		"9999999999999TB",
	);
});

test("sizes are written so that a person sees their order", () => {
	expect([0, 999, 60_816_028, 322_591_712, 4.4e9].map(formatSize)).toEqual([
		"0 B",
		"999 B",
		"60.8 MB",
		"323 MB",
		"4.4 GB",
	]);
});

test("counts and numbers stay inside their bounds", () => {
	expect(parseCount("3", "--x", 0, 64)).toBe(3);
	refused((text) => parseCount(text, "--x", 1, 64), "0", "65", "1.5", "-1", "", "three", "0x3");
	expect(parseNumber("0.7", "--x", 0, 10)).toBe(0.7);
	expect(parseNumber("0", "--x", 0, 10)).toBe(0);
	refused((text) => parseNumber(text, "--x", 0, 10), "", ".", "-1", "11", "1e1", "hot", "NaN");
});

test("token ids are a list of whole numbers below the largest vocabulary", () => {
	expect(parseTokens("1,2, 3", "--x")).toEqual([1, 2, 3]);
	refused((text) => parseTokens(text, "--x"), "", "1,", "1,,2", "1.5", "-1", "a", "1048576");
});

test("relays are addresses; a bare name is https, except on this machine", () => {
	expect(parseRelayUrl("http://localhost:8787/chat?x", "--x")).toBe("http://localhost:8787");
	expect(parseRelayUrl("localhost:8787", "--x")).toBe("http://localhost:8787");
	expect(parseRelayUrl("mesh.example.org", "--x")).toBe("https://mesh.example.org");
	refused(
		(text) => parseRelayUrl(text, "--x"),
		"",
		"ftp://x",
		"http://u:p@x",
		"http://",
		"/ip4/127.0.0.1/tcp/1/ws",
	);
});

test("a chain's node is an address that a page's policy can name", () => {
	expect(parseRpcUrl("https://rpc.example.org/v2/key?x=1", "--x")).toBe("https://rpc.example.org/v2/key?x=1");
	expect(parseRpcUrl("http://[::1]:8545", "--x")).toBe("http://[::1]:8545/");
	refused(
		(text) => parseRpcUrl(text, "--x"),
		"",
		"8545",
		"rpc.example.org",
		"wss://rpc.example.org",
		"https://user:key@rpc.example.org",
		"https://rpc.example.org;script-src",
		"https://*",
		`https://rpc.example.org/${"k".repeat(1024)}`,
	);
});

test("rooms are short plain names", () => {
	expect(parseRoom("public", "--x")).toBe("public");
	refused((text) => parseRoom(text, "--x"), "", "a b", "ä", "a/b", "x".repeat(65));
});

test("STUN and TURN servers become what WebRTC takes, and a refusal never shows the password", () => {
	expect(parseIceServer("stun:stun.example.org:3478", "--x")).toEqual({ urls: "stun:stun.example.org:3478" });
	expect(parseIceServer("turn:me:p%40ss@turn.example.org:3478?transport=udp", "--x")).toEqual({
		urls: "turn:turn.example.org:3478?transport=udp",
		username: "me",
		credential: "p@ss",
	});
	refused((text) => parseIceServer(text, "--x"), "", "http://x", "turn:x:1", "stun:", "stun:a:b@x");
	expect(() => parseIceServer("turn:me:secret@a@b", "--x")).not.toThrow(/secret/);
});
