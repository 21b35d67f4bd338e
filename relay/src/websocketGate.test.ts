import { createServer } from "node:http";
import { type AddressInfo, connect, createServer as createTcpServer } from "node:net";
import { afterEach, expect, test } from "vitest";
import { ConnectionLimiter } from "./connectionRate.ts";
import { createWebsocketGate, type WebsocketGate } from "./websocketGate.ts";

const undo: (() => void)[] = [];
afterEach(() => {
	for (const step of undo.splice(0)) step();
});

function listening(server: {
	listen(port: number, host: string, done: () => void): unknown;
	address(): unknown;
}) {
	return new Promise<number>((resolve) => {
		server.listen(0, "127.0.0.1", () => resolve((server.address() as AddressInfo).port));
	});
}

/** A gate in front of a TCP server that answers the upgrade and then sends everything back. */
async function gateWith(limits: {
	burst: number;
	maxSockets: number;
}): Promise<{ port: number; gate: WebsocketGate }> {
	const inner = createTcpServer((socket) => {
		socket.on("error", () => {});
		socket.once("data", (request) => {
			const text = request.toString("latin1");
			const body = text.slice(text.indexOf("\r\n\r\n") + 4);
			socket.write(`HTTP/1.1 101 Switching Protocols\r\n\r\n${body}`);
			socket.pipe(socket);
		});
	});
	const gate = createWebsocketGate({
		port: await listening(inner),
		limiter: new ConnectionLimiter({ burst: limits.burst, perSecond: 0 }),
		maxSockets: limits.maxSockets,
	});
	const server = createServer().on("upgrade", gate.upgrade);
	undo.push(() => {
		gate.close();
		server.close();
		inner.close();
	});
	return { port: await listening(server), gate };
}

function upgrade(port: number, path = "/", rest = ""): Promise<{ answer: string; end: () => void }> {
	return new Promise((resolve, reject) => {
		const socket = connect(port, "127.0.0.1");
		let answer = "";
		socket.write(
			`GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n${rest}`,
		);
		socket.on("data", (piece) => {
			answer += piece.toString("latin1");
			if (answer.endsWith(rest) && answer.includes("\r\n\r\n"))
				resolve({ answer, end: () => socket.destroy() });
		});
		socket.on("error", reject);
	});
}

test("bytes pass both ways, those that came along with the request included", async () => {
	const { port, gate } = await gateWith({ burst: 9, maxSockets: 9 });
	const { answer, end } = await upgrade(port, "/", "hello");
	expect(answer).toContain("101 Switching Protocols");
	expect(answer).toMatch(/hello$/);
	expect(gate.openSockets).toBe(1);
	end();
	await expect.poll(() => gate.openSockets).toBe(0);
});

test("a client beyond its rate, a full gate and another path are told so and cost nothing", async () => {
	const { port, gate } = await gateWith({ burst: 2, maxSockets: 9 });
	expect((await upgrade(port, "/other")).answer).toContain("404");
	await upgrade(port);
	await upgrade(port);
	expect((await upgrade(port)).answer).toContain("429");
	expect(gate.openSockets).toBe(2);
	const full = await gateWith({ burst: 9, maxSockets: 1 });
	await upgrade(full.port);
	expect((await upgrade(full.port)).answer).toContain("503");
});

test("a listener that is gone gives 502", async () => {
	const { port } = await gateWith({ burst: 9, maxSockets: 9 });
	undo.splice(0);
	const gate = createWebsocketGate({
		port: 9,
		limiter: new ConnectionLimiter({ burst: 9, perSecond: 0 }),
		maxSockets: 9,
	});
	const server = createServer().on("upgrade", gate.upgrade);
	undo.push(() => server.close());
	expect((await upgrade(await listening(server))).answer).toContain("502");
	expect(gate.openSockets).toBe(0);
	expect(port).toBeGreaterThan(0);
});
