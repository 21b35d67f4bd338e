import { type ChildProcess, spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { writeSeededModel } from "@tabmesh/model/testing";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";

const program = fileURLToPath(new URL("../bin/tabmesh.js", import.meta.url));
let folder: string;
let model: string;
const running: ChildProcess[] = [];

beforeAll(async () => {
	folder = await mkdtemp(join(tmpdir(), "network-"));
	model = await writeSeededModel(join(folder, "tiny"));
});
afterEach(async () => {
	await Promise.all(running.splice(0).map((child) => end(child, "SIGTERM")));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

interface Ended {
	status: number | null;
	stdout: string;
	stderr: string;
}

interface Started {
	readonly child: ChildProcess;
	/** Everything that it said so far. */
	readonly said: { stdout: string; stderr: string };
	readonly ended: Promise<Ended>;
}

/** Runs the program as a person does. */
function tabmesh(args: string, input?: string): Started {
	const child = spawn(process.execPath, [program, ...args.split(" ")], {
		env: { ...process.env, TABMESH_CACHE: join(folder, "cache") },
		stdio: ["pipe", "pipe", "pipe"],
	});
	running.push(child);
	const said = { stdout: "", stderr: "" };
	child.stdout.setEncoding("utf8").on("data", (text: string) => {
		said.stdout += text;
	});
	child.stderr.setEncoding("utf8").on("data", (text: string) => {
		said.stderr += text;
	});
	child.stdin.end(input ?? "");
	const ended = new Promise<Ended>((resolve) => {
		child.once("close", (status) => resolve({ status, ...said }));
	});
	return { child, said, ended };
}

async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
	if (child.exitCode !== null || child.signalCode !== null) return;
	const gone = new Promise((resolve) => child.once("exit", resolve));
	child.kill(signal);
	await gone;
}

/** A network with the seeded model; the pages are not needed here. */
async function network(args: string): Promise<Started & { url: string }> {
	const started = tabmesh(`start --port 0 --site ${folder} --model ${model} --memory 64MB ${args}`);
	await expect.poll(() => started.said.stdout, { timeout: 30_000 }).toContain("/chat");
	return { ...started, url: /https?:\/\/[^\s/]+/.exec(started.said.stdout)![0] };
}

function alive(pid: number): boolean {
	try {
		process.kill(pid, 0);
		return true;
	} catch {
		return false;
	}
}

/** Process ids of the children of a process (Linux). */
async function childrenOf(pid: number): Promise<number[]> {
	const { execFileSync } = await import("node:child_process");
	const listed = execFileSync("ps", ["-o", "pid=", "--ppid", String(pid)], { encoding: "utf8" });
	return listed.split("\n").filter(Boolean).map(Number);
}

test("three headless lenders answer as one does, from the argument and from standard input", async () => {
	const prompt = "--max-tokens 12 --temperature 0 --json --relay";
	const one = await network("--lenders 1");
	const alone = JSON.parse((await tabmesh(`ask hello --raw ${prompt} ${one.url}`).ended).stdout);
	await end(one.child, "SIGTERM");
	const three = await network("--lenders 3 --min-stages 3");
	const together = JSON.parse(
		(await tabmesh(`ask --min-stages 3 ${prompt} ${three.url}`, "hello\n").ended).stdout,
	);
	expect(together.tokens).toEqual(alone.tokens);
	expect(together.promptTokens).toEqual(alone.promptTokens);
	expect(alone.peers).toHaveLength(1);
	expect(new Set(together.peers.map(({ peer }: { peer: string }) => peer)).size).toBe(3);
	expect(together.peers.flatMap(({ span }: { span: number[] }) => span)).toMatchObject([
		0,
		{},
		{},
		{},
		{},
		4,
	]);
});

test("the text streams to standard output, the numbers go to standard error", async () => {
	const { url } = await network("--lenders 1");
	const { status, stdout, stderr } = await tabmesh(`ask --prompt-tokens 1,300 --max-tokens 8 --relay ${url}`)
		.ended;
	expect(status).toBe(0);
	expect(stdout).not.toContain("tokens/s");
	expect(stderr).toMatch(
		/^8 tokens · first after \d+ ms · [\d.]+ tokens\/s · length · \w+ \[0,4\) [\d.]+ ms\n$/,
	);
});

test("a lender that dies is started again, and all end with their parent, even when that is killed", async () => {
	const { child, said } = await network("--lenders 2");
	await expect.poll(() => said.stderr, { timeout: 30_000 }).toMatch(/serving/);
	const [first, second] = await childrenOf(child.pid!);
	process.kill(first!, "SIGKILL");
	await expect.poll(() => said.stderr, { timeout: 30_000 }).toMatch(/ended \(SIGKILL\), starts again/);
	await expect.poll(() => childrenOf(child.pid!), { timeout: 30_000 }).toHaveLength(2);
	const now = await childrenOf(child.pid!);
	expect(now).toContain(second);
	await end(child, "SIGKILL");
	await expect.poll(() => now.filter(alive), { timeout: 30_000 }).toEqual([]);
});

test("Ctrl-C says goodbye and leaves no process behind", async () => {
	const { child, said, ended } = await network("--lenders 2");
	await expect.poll(() => said.stderr, { timeout: 30_000 }).toMatch(/serving/);
	const lenders = await childrenOf(child.pid!);
	child.kill("SIGINT");
	expect((await ended).status).toBe(0);
	expect(lenders.filter(alive)).toEqual([]);
	expect(said.stderr).toContain("left the network");
});

test("what cannot be answered ends in one sentence and a non-zero status", async () => {
	const { url } = await network("--lenders 0");
	for (const [args, sentence] of [
		[`ask hello --wait 0 --relay ${url}`, /^Nobody lends a device for tiny yet\. .*\/lend/],
		[
			`ask hello --model other --wait 0 --relay ${url}`,
			/^This network does not offer the model "other"\. It offers: tiny\.$/,
		],
		["ask hello --relay http://127.0.0.1:9", /^No relay answers at http:\/\/127\.0\.0\.1:9\./],
		["ask hello --temperature hot", /^--temperature takes a number from 0 to 10, not "hot"\.$/],
		["start --port 99999", /^--port \(TABMESH_PORT\) takes a port from 0 to 65535, not "99999"\.$/],
		[
			`start --site ${folder} --port ${new URL(url).port} --model ${model}`,
			/belongs to another program\. .*--port/,
		],
		["start --model ./absent.gguf --site .", /^There is no file or folder .*absent\.gguf\./],
		[
			"start --model no-such-model --site .",
			/^The catalogue has no model "no-such-model"\. It has: .*stories15m/,
		],
	] as const) {
		const { status, stdout, stderr } = await tabmesh(args).ended;
		const said = stderr.replace(/^(Checking|Trying) .*\n/gm, "").trimEnd();
		expect([args, status, stdout]).toEqual([args, 1, ""]);
		expect(said).toMatch(sentence);
		expect(said).not.toMatch(/\n|at file:/);
	}
});

test("Ctrl-C cancels an answer", async () => {
	const { url } = await network("--lenders 1");
	const asked = tabmesh(`ask --prompt-tokens 1 --max-tokens 120 --seed 1 --temperature 1 --relay ${url}`);
	await expect.poll(() => asked.said.stdout, { timeout: 30_000 }).not.toBe("");
	asked.child.kill("SIGINT");
	const { status } = await asked.ended;
	// The tiny model may have come to its end before the signal arrived.
	expect([0, 130]).toContain(status);
});
