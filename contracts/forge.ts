import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const binary = fileURLToPath(new URL("../node_modules/.bin/forge", import.meta.url));

/** Runs forge in this folder. @returns what it printed @throws with what it printed, where it fails */
export async function forge(...args: string[]): Promise<string> {
	const { stdout } = await promisify(execFile)(binary, [...args, "--color", "never"], {
		cwd: fileURLToPath(new URL(".", import.meta.url)),
		maxBuffer: 16 * 1024 * 1024,
	}).catch((error: Error & { stdout?: string; stderr?: string }) => {
		throw new Error(`${error.stdout ?? ""}${error.stderr ?? ""}` || error.message);
	});
	return stdout;
}
