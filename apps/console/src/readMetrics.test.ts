import { startRelay } from "@tabmesh/relay";
import { expect, it } from "vitest";
import { readMetrics } from "./readMetrics.ts";

it("adds up what a metric says under all its labels, and leaves out what is no sample", () => {
	const text = [
		"# HELP refused Upgrades refused.",
		"# TYPE refused counter",
		'refused{reason="too many"} 3',
		'refused{reason="a } in } a label",other="x"} 4 1700000000000',
		"sockets 12",
		"lag 1.5e-3",
		"broken NaN",
		"not a sample at all",
		"<html>",
	].join("\n");
	expect([...readMetrics(text)]).toEqual([
		["refused", 7],
		["sockets", 12],
		["lag", 0.0015],
	]);
});

it("reads what a relay says of itself", async () => {
	const relay = await startRelay({ port: 0, site: () => ({ room: "public", models: [], minStages: 1 }) });
	try {
		const metrics = readMetrics(await (await fetch(`${relay.url}/metrics`)).text());
		expect(metrics.get("tabmesh_relay_websockets")).toBe(0);
		expect(metrics.get("process_resident_memory_bytes")).toBeGreaterThan(1e6);
		expect(metrics.get("process_start_time_seconds")).toBeGreaterThan(1e9);
	} finally {
		await relay.stop();
	}
});
