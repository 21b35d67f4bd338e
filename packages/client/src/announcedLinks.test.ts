import type { ConnectionView } from "@tabmesh/transport";
import { limits } from "@tabmesh/wire";
import { expect, test } from "vitest";
import { announcedLinks } from "./announcedLinks.ts";

const connection = (
	peer: string,
	rttMs: number | undefined,
	path: ConnectionView["path"] = "direct",
): ConnectionView => ({ peer, path, rttMs, since: 0, agreement: undefined });

test("announces measured connections only, relays first and near peers before far ones, and says which run through TURN", () => {
	const links = announcedLinks([
		connection("far", 180.2),
		connection("unknown", undefined),
		connection("signalling", 3, "relayed"),
		connection("near", 11, "turn"),
		connection("relay", 40, "socket"),
	]);
	expect(links).toEqual([
		["relay", 40, false],
		["near", 15, true],
		["far", 185, false],
	]);
});

test("announces no more than others accept", () => {
	const many = Array.from({ length: 50 }, (_, i) => connection(`p${i}`, 1e6 + i));
	const links = announcedLinks(many);
	expect(links.length).toBe(limits.announcedLinks);
	expect(links[0]![1]).toBe(limits.roundTripMs);
});
