import { type ChildProcess, spawn } from "node:child_process";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { writeSeededModel } from "@tabmesh/model/testing";
import { afterAll, afterEach, beforeAll, expect, test, vi } from "vitest";

const program = fileURLToPath(new URL("../bin/tabmesh.js", import.meta.url));
let folder: string;
let model: string;
/** Of one test. */
const running: ChildProcess[] = [];
/** A network with one lender and one with none, for all tests that leave them as they are. */
let oneLender: string;
let noLender: string;
const shared: ChildProcess[] = [];

beforeAll(async () => {
	folder = await mkdtemp(join(tmpdir(), "network-"));
	model = await writeSeededModel(join(folder, "tiny"));
	// One after the other: the second needs not find out again what weights the model can do with.
	oneLender = (await network("--lenders 1")).url;
	noLender = (await network("--lenders 0")).url;
	shared.push(...running.splice(0));
});
const endAll = (children: ChildProcess[]) =>
	Promise.all(children.splice(0).map((child) => end(child, "SIGTERM")));
afterEach(() => endAll(running));
afterAll(async () => {
	await endAll(shared);
	await rm(folder, { recursive: true, force: true });
});

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
	await vi.waitFor(() => expect(started.said.stdout).toContain("/chat"), { timeout: 30_000 });
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
	const alone = JSON.parse((await tabmesh(`ask hello --raw ${prompt} ${oneLender}`).ended).stdout);
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

test("a network says why each of its lenders holds what it does", async () => {
	const { url } = await network("--lenders 2 --min-stages 2");
	const explain = async (args = "") => (await tabmesh(`explain --relay ${url}${args}`).ended).stdout;
	const first = /Keeps layers? 1.*; nobody else holds them\. .*\./;
	const last = /Keeps layers? .*4: .*\./;
	await expect
		.poll(() => explain(), { timeout: 30_000 })
		.toMatch(new RegExp(`^.+: 4 layers, 2 lenders\\n….{5}  ${first.source}\\n….{5}  ${last.source}\\n$`));
	const records = (await explain(" --json")).trim().split("\n");
	expect(records.map((line) => JSON.parse(line).text)).toEqual([
		expect.stringMatching(first),
		expect.stringMatching(last),
	]);
	expect(await tabmesh(`explain --relay ${url} --model absent`).ended).toMatchObject({
		status: 1,
		stderr: expect.stringMatching(/does not offer the model "absent"\./),
	});
});

test("the text streams to standard output, the numbers go to standard error", async () => {
	const asked = tabmesh(`ask --prompt-tokens 1,300 --max-tokens 8 --relay ${oneLender}`);
	const { status, stdout, stderr } = await asked.ended;
	expect(status).toBe(0);
	expect(stdout).not.toContain("tokens/s");
	expect(stderr).toMatch(
		/^(?:Waiting for lenders …\n)?8 tokens · first after \d+ ms · [\d.]+ tokens\/s · length · \w+ \[0,4\) [\d.]+ ms\n$/,
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
	const url = noLender;
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
	const asked = tabmesh(
		`ask --prompt-tokens 1 --max-tokens 120 --seed 1 --temperature 1 --relay ${oneLender}`,
	);
	await expect.poll(() => asked.said.stdout, { timeout: 30_000 }).not.toBe("");
	asked.child.kill("SIGINT");
	const { status } = await asked.ended;
	// The tiny model may have come to its end before the signal arrived.
	expect([0, 130]).toContain(status);
});

/** What `lend --json` said, one object per line. */
function records({ said }: Started): Record<string, unknown>[] {
	return said.stdout
		.split("\n")
		.filter(Boolean)
		.map((line) => JSON.parse(line));
}

async function untilServes(volunteer: Started): Promise<void> {
	await expect.poll(() => records(volunteer).at(-1)?.phase, { timeout: 30_000 }).toBe("serving");
}

test("a headless volunteer answers after other programs, on the cores it may use, and says what it serves", async () => {
	const key = join(folder, "volunteer.pem");
	const volunteer = tabmesh(`lend --relay ${noLender} --memory 64MB --cores 1 --key-file ${key} --json`);
	await untilServes(volunteer);
	const asked = `ask --prompt-tokens 1,300 --max-tokens 8 --json --relay ${noLender}`;
	const answer = JSON.parse((await tabmesh(asked).ended).stdout);
	expect(answer.tokens).toHaveLength(8);
	const [joining] = records(volunteer);
	expect(joining).toMatchObject({ phase: "joining", room: "public", peer: answer.peers[0].peer });
	await expect.poll(() => records(volunteer).at(-1)?.streams, { timeout: 30_000 }).toBe(0);
	expect(records(volunteer)).toContainEqual(
		expect.objectContaining({ phase: "serving", span: [0, 4], name: "tiny", backend: "cpu", streams: 1 }),
	);
	if (process.platform === "linux") {
		const threads = `/proc/${volunteer.child.pid}/task`;
		const stats = await Promise.all(
			(await readdir(threads)).map((id) => readFile(`${threads}/${id}/stat`, "utf8")),
		);
		// proc_pid_stat(5): the nice value is the 17th field after the name in parentheses.
		expect(stats.map((stat) => stat.replace(/^.*\) /s, "").split(" ")[16])).toContain("19");
		const status = await readFile(`/proc/${volunteer.child.pid}/status`, "utf8");
		expect(/^Cpus_allowed_list:\s*(.*)$/m.exec(status)?.[1]).toMatch(/^\d+$/);
	}
	volunteer.child.kill("SIGTERM");
	expect((await volunteer.ended).status).toBe(0);
	const again = tabmesh(`lend --relay ${noLender} --memory 64MB --key-file ${key} --no-keep --json`);
	await untilServes(again);
	expect(records(again)[0]).toMatchObject({ peer: joining!.peer });
});

test("a volunteer told to stop lets a running answer end, takes no other, and is gone; told twice, at once", async () => {
	const large = await writeSeededModel(join(folder, "slow"), { layers: 12, hidden: 64, context: 1024 });
	const { url } = await network(`--lenders 0 --model ${large}`);
	// A lap for each token: the answer has to last.
	const asked = `ask --model slow --no-speculation --prompt-tokens 1,300 --relay ${url} --max-tokens`;
	const lend = `lend --relay ${url} --memory 256MB --nice 0 --model slow`;

	const polite = tabmesh(lend);
	await expect.poll(() => polite.said.stdout, { timeout: 30_000 }).toMatch(/serving layers 1–12 of slow/);
	const running = tabmesh(`${asked} 400`);
	await expect.poll(() => running.said.stdout, { timeout: 30_000 }).not.toBe("");
	// One press of Ctrl-C arrives twice where npm stands between.
	polite.child.kill("SIGINT");
	polite.child.kill("SIGINT");
	const { status, stderr } = await running.ended;
	expect([status, stderr]).toEqual([0, expect.stringMatching(/^400 tokens .* length/)]);
	expect((await polite.ended).status).toBe(0);
	expect(polite.said.stdout).toMatch(/leaving when the answer ends[\s\S]*left the network\n$/);

	const hasty = tabmesh(`${lend} --draft-model tiny`);
	await expect
		.poll(() => hasty.said.stdout, { timeout: 30_000 })
		.toMatch(/serving layers 1–12 of slow .*, guessing with tiny\n/);
	const lost = tabmesh(`${asked} 900`);
	await expect.poll(() => lost.said.stdout, { timeout: 30_000 }).not.toBe("");
	hasty.child.kill("SIGINT");
	await new Promise((resolve) => setTimeout(resolve, 400));
	hasty.child.kill("SIGINT");
	expect((await hasty.ended).status).toBe(130);
	await end(lost.child, "SIGTERM");
});

test("outside of its schedule a volunteer says when it comes, and calls nobody", async () => {
	const [from, to] = [5, 6].map((hours) => new Date(Date.now() + hours * 3_600_000).getHours());
	const away = tabmesh(`lend --relay http://127.0.0.1:9 --memory 64MB --schedule ${from}:00-${to}:00`);
	await expect.poll(() => away.said.stdout, { timeout: 30_000 }).toMatch(/^away until \d\d:00\n$/);
	away.child.kill("SIGTERM");
	expect(await away.ended).toMatchObject({ status: 0, stderr: "" });
});

test("a volunteer offers nothing that its machine does not have", async () => {
	const cores = availableParallelism();
	for (const [args, sentence] of [
		["--memory 900TB", /^--memory .* takes what this machine has at most, .* not 900000 GB\.$/],
		[`--cores ${cores + 1}`, new RegExp(`^--cores .* takes at most ${cores} here, not "${cores + 1}"\\.$`)],
		["--cores 1 --threads 2", /^2 --threads on 1 --cores .* Leave --threads out/],
		["--capability nonsense", /^--capability takes an invitation or a file .* tabmesh room mint\.$/],
	] as const) {
		const { status, stdout, stderr } = await tabmesh(`lend ${args}`).ended;
		expect([args, status, stdout]).toEqual([args, 1, ""]);
		expect(stderr.trimEnd()).toMatch(sentence);
		expect(stderr.trimEnd()).not.toMatch(/\n|at file:/);
	}
});
