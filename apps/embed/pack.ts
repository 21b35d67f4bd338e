// Makes of the page side a package that npm can publish: `node apps/embed/pack.ts [FOLDER]`, by default apps/embed/dist. With `--check` it is
// made in a folder that is thrown away, and held to what those who install it need: what publint and arethetypeswrong say, and its size.
import { execFileSync } from "node:child_process";
import { copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { brotliCompressSync } from "node:zlib";
import { checkPackage, createPackageFromTarballData } from "@arethetypeswrong/core";
import { publint } from "publint";
import { formatMessage } from "publint/utils";
import { rollup } from "rollup";
import { dts } from "rollup-plugin-dts";
import { bundleEmbed } from "./bundle.ts";
import source from "./package.json" with { type: "json" };

/** What a page may load before a click, compressed. */
const largestBytes = 15_000;

const at = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

async function pack(folder: string): Promise<void> {
	await mkdir(folder, { recursive: true });
	const plugin = dts({ tsconfig: at("../../tsconfig.json"), includeExternal: ["@tabmesh/client"] });
	const types = await rollup({ input: at("src/index.ts"), plugins: [plugin] });
	await types.write({ file: join(folder, "index.d.ts"), format: "es" });
	await Promise.all([
		writeFile(join(folder, "index.js"), await bundleEmbed("index.ts", "es")),
		copyFile(at("README.md"), join(folder, "README.md")),
		copyFile(at("../../LICENSE"), join(folder, "LICENSE")),
		writeFile(join(folder, "package.json"), `${JSON.stringify(manifest(), null, "\t")}\n`),
	]);
}

function manifest(): object {
	const { name, version, license } = source;
	return {
		name,
		version,
		description:
			"A language model that lives in browser tabs, on any page: OpenAI's calls and two elements in a few kilobytes.",
		license,
		type: "module",
		sideEffects: false,
		exports: { ".": { types: "./index.d.ts", default: "./index.js" } },
		files: ["index.js", "index.d.ts"],
	};
}

async function check(folder: string): Promise<void> {
	const { messages, pkg } = await publint({ pkgDir: folder, strict: true, pack: false });
	const said = messages.map((message) => formatMessage(message, pkg) ?? message.code);
	const packed = execFileSync("npm", ["pack", "--silent", "--ignore-scripts", "--pack-destination", folder], {
		cwd: folder,
		encoding: "utf8",
	});
	const types = await checkPackage(createPackageFromTarballData(await readFile(join(folder, packed.trim()))));
	for (const problem of types.types ? types.problems : [{ kind: "no types" }]) {
		// Modules only: nothing is promised to CommonJS, or to whatever resolves as Node 10 did.
		const unpromised = "resolutionKind" in problem && /^node10$|cjs$/.test(problem.resolutionKind);
		if (!unpromised) said.push(JSON.stringify(problem));
	}
	const bytes = brotliCompressSync(await readFile(join(folder, "index.js"))).byteLength;
	if (bytes > largestBytes)
		said.push(`It has ${bytes} bytes compressed; ${largestBytes} at most are promised.`);
	const declared = await readFile(join(folder, "index.d.ts"), "utf8");
	if (/^(?:import|export) .* from ["']/m.test(declared))
		said.push("index.d.ts names another package, which nobody has who installs this one.");
	if (said.length > 0) throw new Error(`@tabmesh/embed cannot be published:\n${said.join("\n")}`);
}

if (process.argv.includes("--check")) {
	const folder = await mkdtemp(join(tmpdir(), "tabmesh-pack-"));
	try {
		await pack(folder);
		await check(folder);
	} finally {
		await rm(folder, { recursive: true, force: true });
	}
} else {
	await pack(process.argv[2] ?? at("dist"));
}
