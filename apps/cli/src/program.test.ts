import { InvalidParameterError } from "@tabmesh/wire";
import { CommanderError } from "commander";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { type Commands, createProgram } from "./program.ts";

type Call = [command: keyof Commands, options: Record<string, unknown>];
let calls: Call[] = [];
let said = "";
const statuses: number[] = [];

function program() {
	const record = (command: keyof Commands) => async (options: object) => {
		calls.push([command, options as Record<string, unknown>]);
		return 7;
	};
	const made = createProgram(
		{
			start: record("start"),
			lend: record("lend"),
			publish: record("publish"),
			ask: record("ask"),
			serve: record("serve"),
			explain: record("explain"),
			models: () => record("models")({}),
			room: record("room"),
		},
		(status) => statuses.push(status),
	);
	const output = {
		writeOut: (text: string) => {
			said += text;
		},
		writeErr: (text: string) => {
			said += text;
		},
	};
	made.configureOutput(output);
	for (const command of made.commands) command.configureOutput(output).exitOverride();
	return made;
}

async function parse(...argv: string[]): Promise<Record<string, unknown>> {
	await program().parseAsync(argv, { from: "user" });
	return calls.at(-1)![1];
}

beforeEach(() => {
	calls = [];
	said = "";
	vi.stubEnv("TABMESH_CACHE", "/tmp/tabmesh-test-cache");
});
afterEach(() => vi.unstubAllEnvs());

test("start without options is the main job on loopback with the default model", async () => {
	expect(await parse("start")).toMatchObject({
		port: 8787,
		host: "127.0.0.1",
		models: ["tinyllama-1.1b-chat"],
		minStages: 1,
		lenders: 0,
		room: "public",
		iceServers: [],
		cacheDir: "/tmp/tabmesh-test-cache",
	});
	expect(statuses.at(-1)).toBe(7);
});

test("every option of start works by flag", async () => {
	const options = await parse(
		..."start --port 0 --host 0.0.0.0 --tls-cert c --tls-key k --model a --model ./b --min-stages 3 --lenders 3".split(
			" ",
		),
		..."--memory 1GB --room lab --ice-server stun:s:1 --ice-server turn:u:p@t:2 --log-level info".split(" "),
	);
	expect(options).toMatchObject({
		port: 0,
		host: "0.0.0.0",
		tlsCert: "c",
		tlsKey: "k",
		models: ["a", "./b"],
		minStages: 3,
		lenders: 3,
		memory: 1e9,
		room: "lab",
		iceServers: [{ urls: "stun:s:1" }, { urls: "turn:t:2", username: "u", credential: "p" }],
		logLevel: "info",
	});
});

test("the environment gives options, flags go before it, and its bad values are refused by name", async () => {
	vi.stubEnv("TABMESH_PORT", "9000");
	vi.stubEnv("TABMESH_MIN_STAGES", "2");
	expect(await parse("start")).toMatchObject({ port: 9000, minStages: 2 });
	expect(await parse("start", "--port", "9001")).toMatchObject({ port: 9001, minStages: 2 });
	vi.stubEnv("TABMESH_PORT", "many");
	await expect(parse("start")).rejects.toThrow(/TABMESH_PORT.*many/);
});

test("bad values are refused in one sentence that names the option", async () => {
	for (const [option, value] of [
		["--port", "70000"],
		["--host", "no host"],
		["--min-stages", "0"],
		["--lenders", "-1"],
		["--lenders", "1000"],
		["--memory", "lots"],
		["--room", "a room"],
		["--hub", "somewhere"],
		["--ice-server", "http://x"],
	] as const) {
		const error = await parse("start", option, value).catch((reason: unknown) => reason);
		expect(error).toBeInstanceOf(InvalidParameterError);
		expect((error as Error).message).toContain(option);
	}
	for (const [option, value] of [
		["--relay", "ftp://x"],
		["--prompt-tokens", "a,b"],
		["--max-tokens", "0"],
		["--temperature", "hot"],
		["--seed", "-1"],
	] as const) {
		await expect(parse("ask", option, value)).rejects.toThrow(InvalidParameterError);
	}
	for (const [option, value] of [
		["--threads", "0"],
		["--cores", "none"],
		["--nice", "20"],
		["--max-load", "101"],
		["--schedule", "at night"],
		["--finish", "-1"],
		["--room", "a room"],
		["--memory", "1kB"],
	] as const) {
		const error = await parse("lend", option, value).catch((reason: unknown) => reason);
		expect(error).toBeInstanceOf(InvalidParameterError);
		expect((error as Error).message).toContain(option);
	}
	await expect(parse("start", "--log-level", "loud")).rejects.toThrow(CommanderError);
	await expect(parse("start", "--unknown")).rejects.toThrow(CommanderError);
	await expect(parse("publish")).rejects.toThrow(CommanderError);
});

test("ask hands everything on, and nothing that was not given", async () => {
	expect(await parse("ask", "Hello there")).toEqual({
		relay: "http://localhost:8787",
		text: "Hello there",
		speculation: true,
		waitSeconds: 15,
	});
	expect(
		await parse(
			..."ask --relay http://127.0.0.1:9 --model m --prompt-tokens 1,2,3 --raw --min-stages 3 --max-tokens 8".split(
				" ",
			),
			..."--temperature 0.5 --seed 7 --json --wait 1 --private --no-speculation".split(" "),
		),
	).toEqual({
		relay: "http://127.0.0.1:9",
		model: "m",
		promptTokens: [1, 2, 3],
		raw: true,
		minStages: 3,
		private: true,
		speculation: false,
		maxTokens: 8,
		temperature: 0.5,
		seed: 7,
		json: true,
		waitSeconds: 1,
	});
});

test("lend is polite unless told otherwise, and hands on what was asked for", async () => {
	expect(await parse("lend", "--memory", "1GB")).toEqual({
		relay: "http://localhost:8787",
		memory: 1e9,
		nice: 19,
		finish: 30,
		keep: true,
		cacheDir: "/tmp/tabmesh-test-cache",
	});
	expect(
		await parse(
			..."lend --memory 1GB --model m --draft-model s --threads 2 --cores 2 --nice 5 --max-load 50% --schedule 22:00-07:00".split(
				" ",
			),
			..."--finish 0 --room lab --capability token --key-file k.pem --no-keep --json".split(" "),
		),
	).toEqual({
		relay: "http://localhost:8787",
		memory: 1e9,
		model: "m",
		draftModel: "s",
		threads: 2,
		cores: 2,
		nice: 5,
		maxLoad: 50,
		schedule: { from: 1320, to: 420 },
		finish: 0,
		room: "lab",
		capability: "token",
		keyFile: "k.pem",
		keep: false,
		json: true,
		cacheDir: "/tmp/tabmesh-test-cache",
	});
});

test("explain looks at one model of one network", async () => {
	expect(await parse("explain")).toEqual({ relay: "http://localhost:8787" });
	expect(await parse(..."explain --relay mesh.example.org --model m --room lab --json".split(" "))).toEqual({
		relay: "https://mesh.example.org",
		model: "m",
		room: "lab",
		json: true,
	});
});

test("publish knows where to look and what to write", async () => {
	expect(
		await parse("publish", "hf:owner/model", "--weights", "q8", "--hub", "http://127.0.0.1:9/hub"),
	).toEqual({
		source: "hf:owner/model",
		weights: "q8",
		hub: "http://127.0.0.1:9/hub/",
		cacheDir: "/tmp/tabmesh-test-cache",
	});
	await expect(parse("publish", "./x", "--weights", "q3")).rejects.toThrow(CommanderError);
});

test("room makes, narrows and tells invitations, each with its own options", async () => {
	expect(await parse("room", "mint", "family", "--key", "k.pem")).toEqual({
		action: "mint",
		name: "family",
		key: "k.pem",
		actions: ["ask", "lend"],
		days: 30,
	});
	expect(await parse(..."room attenuate word --actions ask --days 1 --to peer --key k".split(" "))).toEqual({
		action: "attenuate",
		capability: "word",
		actions: ["ask"],
		days: 1,
		to: "peer",
		key: "k",
	});
	expect(await parse("room", "show", "word")).toEqual({ action: "show", capability: "word" });
	await expect(parse("room", "attenuate", "word", "--days", "0")).rejects.toThrow(InvalidParameterError);
});

test("every command explains itself with examples", async () => {
	for (const command of ["start", "lend", "publish", "ask"]) {
		said = "";
		await expect(parse(command, "--help")).rejects.toThrow(CommanderError);
		expect(said).toContain("Examples:");
		expect(said).toContain(`tabmesh ${command}`);
	}
});

test("serve keeps to this machine unless told otherwise, and takes several keys and origins", async () => {
	expect(await parse("serve")).toEqual({
		relay: "http://localhost:8787",
		port: 8788,
		host: "127.0.0.1",
		apiKeys: [],
		corsOrigins: [],
		waitSeconds: 15,
		logLevel: "warn",
		cacheDir: "/tmp/tabmesh-test-cache",
	});
	const line =
		"serve --api-key one --api-key two --cors-origin https://a.example --cors-origin * --rate-limit 60";
	expect(await parse(...line.split(" "), "--wait", "0")).toMatchObject({
		apiKeys: ["one", "two"],
		corsOrigins: ["https://a.example", "*"],
		rateLimit: 60,
		waitSeconds: 0,
	});
	for (const origin of ["a.example", "https://a.example/path", "null", "ftp://a.example"]) {
		await expect(parse("serve", "--cors-origin", origin)).rejects.toThrow(InvalidParameterError);
	}
});
