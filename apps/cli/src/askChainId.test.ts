import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { ChainError, ChainUnreachableError } from "@tabmesh/wire";
import { expect, test } from "vitest";
import { askChainId } from "./askChainId.ts";

async function ask(answer: string): Promise<number> {
	const server = createServer((_, response) => response.end(answer));
	await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
	try {
		const { port } = server.address() as AddressInfo;
		return await askChainId(`http://127.0.0.1:${port}/key`, new AbortController().signal);
	} finally {
		server.closeAllConnections();
		server.close();
	}
}

test("the node's chain id is read", async () => {
	expect(await ask('{"jsonrpc":"2.0","id":1,"result":"0x2105"}')).toBe(8453);
});

test("whatever is no chain id is refused", async () => {
	for (const answer of [
		"",
		"<h1>hello</h1>",
		'{"error":{"code":-32601}}',
		'{"result":"0x0"}',
		'{"result":"8453"}',
		`{"result":"0x1"${" ".repeat(10_000)}}`,
	])
		await expect(ask(answer)).rejects.toThrow(ChainError);
});

test("an address where nobody answers is told with its host, not with the key in its path", async () => {
	const asked = askChainId("http://127.0.0.1:1/secret", new AbortController().signal);
	await expect(asked).rejects.toThrow(ChainUnreachableError);
	await expect(asked).rejects.toThrow(/127\.0\.0\.1:1 /);
	await expect(asked).rejects.not.toThrow(/secret/);
});

test("a start that is broken off does not wait for it", async () => {
	await expect(askChainId("http://127.0.0.1:1/", AbortSignal.abort(new Error("stop")))).rejects.toThrow(
		"stop",
	);
});
