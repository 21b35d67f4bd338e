import { createHash } from "node:crypto";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { brotliCompress, constants, gzip } from "node:zlib";
import { build, defaultClientConditions, defineConfig, type Plugin, type Rolldown } from "vite";
import { bundleEmbed } from "./apps/embed/bundle.ts";
import embed from "./apps/embed/package.json" with { type: "json" };

const at = (path: string) => fileURLToPath(new URL(path, import.meta.url));

/** The pages that the relay serves. `home` is the site's root, every other page lies under its own name. */
const pages = {
	home: at("apps/home/index.html"),
	lend: at("apps/lend/index.html"),
	chat: at("apps/chat/index.html"),
	storage: at("apps/storage/index.html"),
	console: at("apps/console/index.html"),
	embed: at("apps/embed/index.html"),
	notFound: at("apps/404.html"),
};

/** What lies in frames on other people's pages; no part of the site without a network. */
const frames = {
	askFrame: at("apps/embed/ask/index.html"),
	chatFrame: at("apps/embed/chat/index.html"),
	lendFrame: at("apps/embed/lend/index.html"),
};

/** Files of the public folder that a page shows before anybody clicked. */
const shellPictures = ["favicon.svg", "manifest.webmanifest"];

/**
 * A page must be cross-origin isolated to get threads in WASM: without both headers the engine falls back to one.
 * The relay sends the same two.
 */
const isolation = {
	"Cross-Origin-Opener-Policy": "same-origin",
	"Cross-Origin-Embedder-Policy": "require-corp",
};

/** Serves apps/home as `/` while developing, and puts it at the root of what is built. */
function homeAtRoot(): Plugin {
	return {
		name: "tabmesh:home-at-root",
		configureServer(server) {
			server.middlewares.use((request, _response, next) => {
				const { pathname } = new URL(request.url ?? "/", "http://localhost");
				if (pathname === "/") request.url = "/home/";
				else if (["/lend", "/chat", "/storage", "/console", "/embed"].includes(pathname))
					request.url = `${pathname}/`;
				next();
			});
		},
		generateBundle: {
			order: "post",
			handler(_options, bundle) {
				const home = bundle["home/index.html"];
				if (home) home.fileName = "index.html";
			},
		},
	};
}

/**
 * Stops the build where a page would import a module of Node: a twin was not chosen, and the page would fail only
 * when somebody opens it.
 */
function noNodeInPages(): Plugin {
	return {
		name: "tabmesh:no-node-in-pages",
		apply: "build",
		enforce: "pre",
		resolveId(id, importer) {
			if (id.startsWith("node:"))
				this.error(
					`${importer} brings ${id} into a page. Give its room a browser twin through package.json "exports".`,
				);
		},
	};
}

/** Everything that pages load by themselves: their HTML, and what it names; not what a click brings. */
async function shellOf(bundle: Rolldown.OutputBundle): Promise<{ url: string; revision: string | null }[]> {
	const revision = (content: string | Uint8Array) =>
		createHash("sha256").update(content).digest("hex").slice(0, 16);
	const hashed = new Set<string>();
	const take = (file: string): void => {
		const part = bundle[file];
		if (hashed.has(file) || !part) return;
		hashed.add(file);
		if (part.type !== "chunk") return;
		for (const each of [...part.imports, ...(part.viteMetadata?.importedCss ?? [])]) take(each);
	};
	const pages: { url: string; revision: string }[] = [];
	for (const part of Object.values(bundle)) {
		if (part.type === "chunk" && part.isEntry && !(part.name in frames)) take(part.fileName);
		if (part.type === "asset" && /^(?!404|embed\/\w+\/).*\.html$/.test(part.fileName)) {
			pages.push({ url: `/${part.fileName}`, revision: revision(part.source) });
			for (const [, file] of String(part.source).matchAll(/(?:href|src)="\/(assets\/[^"]+)"/g)) take(file!);
		}
	}
	const pictures = shellPictures.map(async (file) => ({
		url: `/${file}`,
		revision: revision(await readFile(at(`apps/home/public/${file}`))),
	}));
	return [
		...pages,
		...(await Promise.all(pictures)),
		...[...hashed].map((file) => ({ url: `/${file}`, revision: null })),
	];
}

/** Builds `service-worker.js`, which knows the files of this very build. */
function offlineShell(): Plugin {
	return {
		name: "tabmesh:offline-shell",
		apply: "build",
		generateBundle: {
			order: "post",
			async handler(_options, bundle) {
				const shell = await shellOf(bundle);
				const built = await build({
					configFile: false,
					logLevel: "warn",
					define: { SHELL: JSON.stringify(shell), "process.env.NODE_ENV": '"production"' },
					build: {
						write: false,
						target: "firefox128",
						rolldownOptions: {
							input: at("apps/home/src/serviceWorker.ts"),
							// Firefox takes no modules here.
							output: { format: "iife", codeSplitting: false },
						},
					},
				});
				const [worker] = (built as Rolldown.RolldownOutput).output;
				this.emitFile({ type: "asset", fileName: "service-worker.js", source: worker.code });
			},
		},
	};
}

/** Builds what a script tag on any page loads, `embed.js` and, for classic scripts, `embed.iife.js`; says in `embed.json` what they are. */
function embedScript(): Plugin {
	return {
		name: "tabmesh:embed-script",
		apply: "build",
		generateBundle: {
			order: "post",
			async handler(_options, bundle) {
				const scripts = await Promise.all(
					(["es", "iife"] as const).map(async (format) => {
						const code = await bundleEmbed("script.ts", format);
						const fileName = format === "es" ? "embed.js" : "embed.iife.js";
						this.emitFile({ type: "asset", fileName, source: code });
						const integrity = `sha384-${createHash("sha384").update(code).digest("base64")}`;
						console.log(`${fileName}  ${code.length} bytes  integrity="${integrity}"`);
						return { path: `/${fileName}`, integrity };
					}),
				);
				const [module, script] = scripts;
				const source = `${JSON.stringify({ version: embed.version, module, script }, null, "\t")}\n`;
				this.emitFile({ type: "asset", fileName: "embed.json", source });
				for (const part of Object.values(bundle)) {
					if (part.type === "asset" && part.fileName === "embed/index.html")
						part.source = String(part.source).replaceAll("sha384-…", module!.integrity);
				}
			},
		},
	};
}

const compressible = /\.(?:html|js|mjs|css|svg|json|webmanifest|wasm|txt)$/;

/** Below this many bytes a compressed answer is no smaller than its headers. */
const compressFromBytes = 1024;

/** Writes `x.br` and `x.gz` beside every `x`, once at build time, so that the relay only hands out files. */
function precompress(): Plugin {
	const brotliOf = promisify(brotliCompress);
	const gzipOf = promisify(gzip);
	let folder = "";
	return {
		name: "tabmesh:precompress",
		apply: "build",
		configResolved(config) {
			folder = config.build.outDir;
		},
		async writeBundle() {
			const entries = await readdir(folder, { recursive: true, withFileTypes: true });
			const files = entries.filter((entry) => entry.isFile() && compressible.test(entry.name));
			await Promise.all(
				files.map(async (entry) => {
					const path = `${entry.parentPath}/${entry.name}`;
					const bytes = await readFile(path);
					if (bytes.byteLength < compressFromBytes) return;
					// Quality 11 takes a minute and a half over the 60 MB of WASM and saves a tenth; 9 takes four seconds.
					const quality = bytes.byteLength > 1 << 20 ? 9 : 11;
					const [br, gz] = await Promise.all([
						brotliOf(bytes, {
							params: {
								[constants.BROTLI_PARAM_QUALITY]: quality,
								[constants.BROTLI_PARAM_SIZE_HINT]: bytes.byteLength,
							},
						}),
						gzipOf(bytes, { level: 9 }),
					]);
					await Promise.all([writeFile(`${path}.br`, br), writeFile(`${path}.gz`, gz)]);
				}),
			);
		},
	};
}

/**
 * Builds every page and the workers behind them into `dist/`: `index.html`, `lend/index.html`, `chat/index.html`,
 * `storage/index.html`, `console/index.html`, `404.html`, `service-worker.js` and hashed, immutable `assets/`.
 */
export default defineConfig({
	root: at("apps"),
	publicDir: at("apps/home/public"),
	appType: "mpa",
	plugins: [homeAtRoot(), noNodeInPages(), embedScript(), offlineShell(), precompress()],
	resolve: {
		conditions: [
			// onnxruntime-web without its embedded loader: a bundled loader would start our own bundle as its threads.
			"onnxruntime-web-use-extern-wasm",
			...defaultClientConditions,
		],
	},
	worker: { format: "es", plugins: () => [noNodeInPages()] },
	build: {
		outDir: at("dist"),
		emptyOutDir: true,
		// What Chrome 137, Firefox 128 and Safari 18 read as it is; older browsers lack WebGPU, JSPI or Web Locks anyway.
		target: ["chrome125", "firefox128", "safari18"],
		// Never a data: URL: the site's Content-Security-Policy allows none.
		assetsInlineLimit: 0,
		modulePreload: { polyfill: false },
		sourcemap: false,
		reportCompressedSize: false,
		chunkSizeWarningLimit: 1024,
		rolldownOptions: {
			input: { ...pages, ...frames },
			output: {
				// Every room's entry is src/index.ts: the room's name tells more in a network log than "src".
				chunkFileNames: ({ facadeModuleId, name }) => {
					const room = /\/(?:packages|workers)\/([^/]+)\/src\/index/.exec(facadeModuleId ?? "")?.[1];
					return `assets/${room ?? name}-[hash].js`;
				},
			},
		},
	},
	server: { headers: isolation },
	preview: { headers: isolation },
});
