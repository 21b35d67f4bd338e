import { type ChildProcess, spawn } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type SeededModelOptions, seededModelFiles } from "@tabmesh/model/testing";

const root = fileURLToPath(new URL("../", import.meta.url));

/** A network of its own: a relay with its site and models, started the way a person starts it. */
export interface Network {
	readonly url: string;
	/** What the process has said so far on stderr, for a failed test. */
	readonly log: () => string;
	stop(): Promise<void>;
}

function ended(child: ChildProcess): Promise<void> {
	if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve();
	return new Promise((resolve) => child.once("exit", () => resolve()));
}

/** Runs one command of the CLI to its end. */
export async function tabmesh(
	...args: string[]
): Promise<{ status: number; stdout: string; stderr: string }> {
	const child = spawn(process.execPath, [join(root, "apps/cli/bin/tabmesh.js"), ...args], {
		stdio: ["ignore", "pipe", "pipe"],
	});
	let stdout = "";
	let stderr = "";
	child.stdout.setEncoding("utf8").on("data", (text: string) => {
		stdout += text;
	});
	child.stderr.setEncoding("utf8").on("data", (text: string) => {
		stderr += text;
	});
	await ended(child);
	return { status: child.exitCode ?? -1, stdout, stderr };
}

/** Starts a network on a free port and waits for its address. */
export async function startNetwork(...args: string[]): Promise<Network> {
	const child = spawn(
		process.execPath,
		[join(root, "apps/cli/bin/tabmesh.js"), "start", "--port", "0", "--site", join(root, "dist"), ...args],
		{ stdio: ["ignore", "pipe", "pipe"] },
	);
	let stdout = "";
	let log = "";
	child.stderr.setEncoding("utf8").on("data", (text: string) => {
		log += text;
	});
	const url = await new Promise<string>((resolve, reject) => {
		child.once("exit", (code) => reject(new Error(`tabmesh start ended with status ${code}: ${log}`)));
		child.stdout.setEncoding("utf8").on("data", (text: string) => {
			stdout += text;
			const address = /(https?:\/\/[^\s/]+)\/chat\b/.exec(stdout)?.[1];
			if (address !== undefined) resolve(address);
		});
	});
	return {
		url,
		log: () => log,
		async stop() {
			child.kill("SIGTERM");
			await ended(child);
		},
	};
}

/** Writes a tiny model with weights from a seed to a folder of its own, hands it to `use`, and removes it. */
export async function withSeededModel<T>(
	options: SeededModelOptions,
	use: (folder: string) => Promise<T>,
): Promise<T> {
	const folder = await mkdtemp(join(tmpdir(), "seeded-"));
	try {
		const { model, tokenizer } = seededModelFiles(options);
		await Promise.all([
			writeFile(join(folder, "model.bin"), model),
			writeFile(join(folder, "tokenizer.bin"), tokenizer),
		]);
		return await use(folder);
	} finally {
		await rm(folder, { recursive: true, force: true });
	}
}
