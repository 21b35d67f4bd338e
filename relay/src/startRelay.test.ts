import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { request as httpsRequest } from "node:https";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { brotliCompressSync } from "node:zlib";
import { createIdentity } from "@tabmesh/dauth";
import { createPeer } from "@tabmesh/transport";
import { InvalidParameterError, PortInUseError, protocolId, siteSchema } from "@tabmesh/wire";
import { pino } from "pino";
import { generate } from "selfsigned";
import * as v from "valibot";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { type Relay, type RelayOptions, startRelay } from "./startRelay.ts";

const folder = mkdtempSync(join(tmpdir(), "tabmesh-relay-"));
const siteDir = join(folder, "site");
const running: Relay[] = [];

async function start(options: Partial<RelayOptions> = {}): Promise<Relay> {
	const relay = await startRelay({
		port: 0,
		siteDir,
		site: () => ({ room: "public", models: [], minStages: 1 }),
		logger: pino({ level: "silent" }),
		drainMs: 200,
		...options,
	});
	running.push(relay);
	return relay;
}

beforeAll(() => {
	for (const sub of ["lend", "chat", "assets", "embed/lend"])
		mkdirSync(join(siteDir, sub), { recursive: true });
	writeFileSync(join(siteDir, "index.html"), "<h1>home</h1>");
	writeFileSync(join(siteDir, "lend/index.html"), "<h1>lend</h1>");
	writeFileSync(join(siteDir, "chat/index.html"), "<h1>chat</h1>");
	writeFileSync(join(siteDir, "embed/index.html"), "<h1>how to embed</h1>");
	writeFileSync(join(siteDir, "embed/lend/index.html"), "<h1>lend in a frame</h1>");
	writeFileSync(join(siteDir, "embed.js"), "export {};");
	writeFileSync(join(siteDir, "404.html"), "<h1>lost</h1>");
	const script = "export const x = 1;".repeat(100);
	writeFileSync(join(siteDir, "assets/lend-Ab3dE_9x.js"), script);
	writeFileSync(join(siteDir, "assets/lend-Ab3dE_9x.js.br"), brotliCompressSync(script));
	writeFileSync(join(siteDir, "assets/ort-Ab3dE_9x.wasm"), new Uint8Array([0, 97, 115, 109]));
});
afterEach(async () => {
	await Promise.all(running.splice(0).map((relay) => relay.stop()));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Body and headers from an HTTPS server whose certificate only `ca` vouches for. */
function getSecure(url: string, ca: string): Promise<{ status: number; body: string }> {
	return new Promise((resolve, reject) => {
		httpsRequest(url, { ca }, (response) => {
			let body = "";
			response.setEncoding("utf8");
			response.on("data", (piece) => {
				body += piece;
			});
			response.on("end", () => resolve({ status: response.statusCode ?? 0, body }));
		})
			.on("error", reject)
			.end();
	});
}

describe("the site", () => {
	test("gives each page at its short address, and the site's own page for what is not there", async () => {
		const { url } = await start();
		for (const [path, text, status] of [
			["/", "home", 200],
			["/lend", "lend", 200],
			["/lend/", "lend", 200],
			["/chat?model=x", "chat", 200],
			["/nowhere", "lost", 404],
			["/..%2f..%2fetc/passwd", "lost", 404],
			["/%zz", "lost", 404],
		] as const) {
			const response = await fetch(url + path);
			expect([path, response.status]).toEqual([path, status]);
			expect(await response.text()).toContain(text);
		}
	});

	test("names content types rightly, keeps hashed assets for good and asks again for pages", async () => {
		const { url } = await start();
		const script = await fetch(`${url}/assets/lend-Ab3dE_9x.js`, { headers: { "accept-encoding": "br" } });
		expect(script.headers.get("content-type")).toMatch(/^text\/javascript/);
		expect(script.headers.get("content-encoding")).toBe("br");
		expect(script.headers.get("vary")).toMatch(/accept-encoding/i);
		expect(script.headers.get("cache-control")).toBe("public, max-age=31536000, immutable");
		expect(await script.text()).toMatch(/^export const x/);
		const wasm = await fetch(`${url}/assets/ort-Ab3dE_9x.wasm`);
		expect(wasm.headers.get("content-type")).toBe("application/wasm");
		expect((await fetch(`${url}/`)).headers.get("cache-control")).toBe("no-cache");
	});

	test("is cross-origin isolated under a strict policy, the error page included", async () => {
		const { url, port } = await start({ connectOrigins: ["https://models.example.org"] });
		for (const path of ["/", "/chat", "/nowhere", "/healthz"]) {
			const { headers } = await fetch(url + path);
			expect(headers.get("cross-origin-opener-policy")).toBe("same-origin");
			expect(headers.get("cross-origin-embedder-policy")).toBe("require-corp");
			expect(headers.get("cross-origin-resource-policy")).toBe("same-origin");
			expect(headers.get("x-content-type-options")).toBe("nosniff");
			expect(headers.get("referrer-policy")).toBe("no-referrer");
			const policy = headers.get("content-security-policy")!;
			expect(policy).toContain("script-src 'self' 'wasm-unsafe-eval';");
			expect(policy).toContain("object-src 'none'; frame-ancestors 'none'");
			expect(policy).toContain(`ws://127.0.0.1:${port} ws://localhost:${port} https://models.example.org;`);
			expect(policy).not.toContain("unsafe-inline");
			expect(policy).not.toContain("'unsafe-eval'");
		}
	});
});

describe("what other sites take in", () => {
	test("frames of them show the pages made for that, from secure places, and no other page", async () => {
		const { url } = await start();
		for (const path of ["/embed/lend", "/embed/lend/"]) {
			const { headers, status } = await fetch(url + path);
			expect(status).toBe(200);
			expect(headers.get("content-security-policy")).toMatch(/frame-ancestors https: http:\/\/localhost:\* /);
			expect(headers.get("cross-origin-resource-policy")).toBe("cross-origin");
			// Shown is not read.
			expect(headers.get("access-control-allow-origin")).toBeNull();
		}
		for (const path of ["/", "/lend", "/chat", "/embed", "/embed/lend/x", "/embed/lendx", "/EMBED/lend"]) {
			const { headers } = await fetch(url + path);
			expect(headers.get("content-security-policy"), path).toContain("frame-ancestors 'none'");
			expect(headers.get("cross-origin-resource-policy"), path).toBe("same-origin");
		}
	});

	test("they load the script with its hash", async () => {
		const { url } = await start();
		const { headers } = await fetch(`${url}/embed.js`);
		expect(headers.get("access-control-allow-origin")).toBe("*");
		expect(headers.get("cross-origin-resource-policy")).toBe("cross-origin");
	});
});

describe("the description of the network", () => {
	test("follows its schema and names the relay by the host that the visitor used", async () => {
		const { url, port, peer } = await start();
		const response = await fetch(`${url}/tabmesh.json`);
		const site = v.parse(siteSchema, await response.json());
		expect(site.relays).toEqual([`/dns4/localhost/tcp/${port}/ws/p2p/${peer}`]);
		expect(response.headers.get("access-control-allow-origin")).toBe("*");
		expect(response.headers.get("cross-origin-resource-policy")).toBe("cross-origin");
		const byAddress = await (await fetch(`http://127.0.0.1:${port}/tabmesh.json`)).json();
		expect(byAddress.relays).toEqual([`/ip4/127.0.0.1/tcp/${port}/ws/p2p/${peer}`]);
	});

	test("does not repeat a Host header that is no host", async () => {
		const { port, multiaddrs } = await start();
		const socket = connect(port, "127.0.0.1");
		socket.write("GET /tabmesh.json HTTP/1.1\r\nHost: evil/p2p/x\r\nConnection: close\r\n\r\n");
		let answer = "";
		for await (const piece of socket) answer += piece;
		expect(answer).not.toContain("evil");
		if (answer.startsWith("HTTP/1.1 200")) expect(answer).toContain(JSON.stringify(multiaddrs));
	});

	test("names the public address where a proxy stands in front", async () => {
		const { url, multiaddrs, peer, port } = await start({ publicUrl: "https://mesh.example.org" });
		expect(url).toBe("https://mesh.example.org");
		expect(multiaddrs).toEqual([`/dns4/mesh.example.org/tcp/443/tls/ws/p2p/${peer}`]);
		const site = await (await fetch(`http://127.0.0.1:${port}/tabmesh.json`)).json();
		expect(site.relays).toEqual(multiaddrs);
	});
});

test("routes that are handed in answer under their prefix and may be read from other sites", async () => {
	const { url } = await start({
		extraRoutes: { "/models": (request) => new Response(new URL(request.url).pathname) },
	});
	const response = await fetch(`${url}/models/abc/manifest.cbor`);
	expect(await response.text()).toBe("/models/abc/manifest.cbor");
	expect(response.headers.get("cross-origin-resource-policy")).toBe("cross-origin");
});

test("a handler that fails gives a plain 500 that tells strangers nothing", async () => {
	const { url } = await start({
		extraRoutes: {
			"/models": () => {
				throw new Error("secret path /home/x");
			},
		},
	});
	const response = await fetch(`${url}/models/a`);
	expect(response.status).toBe(500);
	expect(await response.text()).not.toContain("secret");
});

test("metrics count requests and name sockets, connections and reservations", async () => {
	const { url, peer } = await start();
	expect(await (await fetch(`${url}/healthz`)).json()).toEqual({ status: "ok", peer });
	const text = await (await fetch(`${url}/metrics`)).text();
	expect(text).toContain('tabmesh_relay_http_requests_total{method="GET",status="200"} 1');
	for (const name of ["websockets", "connections", "reservations"]) {
		expect(text).toMatch(new RegExp(`^tabmesh_relay_${name} \\d+$`, "m"));
	}
	expect(text).toContain("process_resident_memory_bytes");
});

test("metrics with a token answer only its bearer", async () => {
	const { url } = await start({ metricsToken: "open sesame" });
	expect((await fetch(`${url}/metrics`)).status).toBe(403);
	const allowed = await fetch(`${url}/metrics`, { headers: { authorization: "Bearer open sesame" } });
	expect(allowed.status).toBe(200);
});

describe("refusals", () => {
	test("a port in use is named, with what to do", async () => {
		const holder = createServer();
		await new Promise<void>((resolve) => holder.listen(0, "127.0.0.1", resolve));
		const { port } = holder.address() as { port: number };
		const error = await start({ port }).catch((reason: unknown) => reason);
		holder.close();
		expect(error).toBeInstanceOf(PortInUseError);
		expect((error as Error).message).toContain(String(port));
		expect((error as Error).message).toContain("--port");
	});

	test("an address of another machine is refused by name", async () => {
		const error = await start({
			host: "192.0.2.1",
			tls: await certificateFiles("192.0.2.1"),
		}).catch((reason: unknown) => reason);
		expect(error).toBeInstanceOf(InvalidParameterError);
		expect((error as Error).message).toContain("192.0.2.1");
	});

	test("bad public addresses are refused", async () => {
		for (const publicUrl of ["mesh.example.org", "ftp://x", "https://x/path"]) {
			await expect(start({ publicUrl })).rejects.toThrow(InvalidParameterError);
		}
	});

	test("certificates that are missing, half given, foreign or no certificates are refused", async () => {
		const pair = await certificateFiles("127.0.0.1");
		const other = await certificateFiles("127.0.0.1");
		const text = join(folder, "text.pem");
		writeFileSync(text, "hello");
		for (const tls of [
			{ certFile: pair.certFile },
			{ keyFile: pair.keyFile },
			{ certFile: join(folder, "absent.pem"), keyFile: pair.keyFile },
			{ certFile: pair.certFile, keyFile: other.keyFile },
			{ certFile: text, keyFile: pair.keyFile },
			{ certFile: pair.certFile, keyFile: text },
		]) {
			await expect(start({ tls })).rejects.toThrow(InvalidParameterError);
		}
	});
});

let certificates = 0;
async function certificateFiles(address: string): Promise<{ certFile: string; keyFile: string }> {
	const base = join(folder, `made-${certificates++}`);
	const files = { certFile: `${base}.crt`, keyFile: `${base}.key` };
	const made = await generate([{ name: "commonName", value: "x" }], {
		keyType: "ec",
		algorithm: "sha256",
		extensions: [{ name: "subjectAltName", altNames: [{ type: 7, ip: address }] }],
	});
	writeFileSync(files.certFile, made.cert);
	writeFileSync(files.keyFile, made.private);
	return files;
}

describe("HTTPS", () => {
	test("serves with the files that are given, and says wss", async () => {
		const files = await certificateFiles("127.0.0.1");
		const { port, certificate, multiaddrs } = await start({ tls: files });
		const { body } = await getSecure(`https://127.0.0.1:${port}/tabmesh.json`, certificate!.cert);
		expect(JSON.parse(body).relays[0]).toContain(`/ip4/127.0.0.1/tcp/${port}/tls/ws/p2p/`);
		expect(multiaddrs[0]).toContain("/tls/ws/");
		expect(certificate!.selfSigned).toBe(false);
	});

	test("anything but loopback gets a self-signed certificate that is kept, and children a plain twin", async () => {
		const cacheDir = join(folder, "cache");
		const first = await start({ host: "0.0.0.0", cacheDir, loopbackTwin: true });
		expect(first.url).toMatch(/^https:/);
		expect(first.certificate!.selfSigned).toBe(true);
		const { status } = await getSecure(`https://127.0.0.1:${first.port}/healthz`, first.certificate!.cert);
		expect(status).toBe(200);
		const site = await (await fetch(`${first.loopbackUrl}/tabmesh.json`)).json();
		expect(site.relays[0]).toContain(`/ip4/127.0.0.1/tcp/${new URL(first.loopbackUrl).port}/ws/p2p/`);
		await first.stop();
		const second = await start({ host: "0.0.0.0", cacheDir });
		expect(second.certificate!.fingerprint).toBe(first.certificate!.fingerprint);
	});
});

test("stop lets a running answer finish, gives the port back, and may be called twice", async () => {
	const { url, port, stop } = await start({
		drainMs: 5000,
		extraRoutes: {
			"/slow": async () => {
				await new Promise((resolve) => setTimeout(resolve, 150));
				return new Response("done");
			},
		},
	});
	const answer = fetch(`${url}/slow`);
	await new Promise((resolve) => setTimeout(resolve, 50));
	const stopped = Promise.all([stop(), stop()]);
	expect(await (await answer).text()).toBe("done");
	await stopped;
	const again = await start({ port });
	expect(again.port).toBe(port);
});

test("peers meet through the public port, by name and by address, and call each other", async () => {
	const { port, url, peer: relayId, loopbackUrl } = await start({ host: "0.0.0.0", loopbackTwin: true });
	expect(url).toMatch(/^https:/);
	const site = v.parse(siteSchema, await (await fetch(`${loopbackUrl}/tabmesh.json`)).json());
	const plain = await start();
	expect(plain.port).not.toBe(port);
	const addresses = [
		[site.relays[0]!, relayId],
		[`/dns4/localhost/tcp/${plain.port}/ws/p2p/${plain.peer}`, plain.peer],
		[plain.multiaddrs[0]!, plain.peer],
	] as const;
	for (const [address, id] of addresses) {
		const make = async () =>
			createPeer({ identity: await createIdentity(), relays: [address], agent: "test/0" });
		const [a, b] = await Promise.all([make(), make()]);
		const echo = { id: protocolId("echo"), maxMessageBytes: 1024 };
		b.serve(echo, async (stream) => {
			for await (const message of stream) await stream.send(message);
		});
		expect(a.connections.map(({ peer }) => peer)).toContain(id);
		// Between two Node peers of one process a WebRTC handshake loses its first packets now and then.
		await expect
			.poll(() => a.request(b.id, echo, new Uint8Array([1, 2, 3]), { timeoutMs: 5000 }), { timeout: 40_000 })
			.toEqual(new Uint8Array([1, 2, 3]));
		const metrics = await (
			await fetch(`${address.includes(`/${plain.port}/`) ? plain.loopbackUrl : loopbackUrl}/metrics`)
		).text();
		expect(metrics).toMatch(/^tabmesh_relay_reservations 2$/m);
		expect(metrics).toMatch(/^tabmesh_relay_websockets 2$/m);
		await Promise.all([a.stop(), b.stop()]);
	}
});

test("the relay keeps its peer id between starts on one port, and two ports are two peers", async () => {
	const cacheDir = join(folder, "keys");
	const first = await start({ cacheDir });
	const { port } = first;
	await first.stop();
	const second = await start({ cacheDir, port });
	await second.stop();
	const third = await start({ cacheDir, port });
	expect(third.peer).toBe(second.peer);
	expect((await start({ cacheDir })).peer).not.toBe(third.peer);
});
