import { join } from "node:path";
import { parseHost, parsePort, stopOnSignals } from "@tabmesh/relay/command-line";
import { Command, Option } from "commander";
import { cacheFolder } from "./cacheFolder.ts";
import type { AskOptions } from "./commands/ask.ts";
import type { ExplainOptions } from "./commands/explain.ts";
import type { LendCommandOptions } from "./commands/lend.ts";
import type { PublishCommandOptions } from "./commands/publish.ts";
import type { RoomOptions } from "./commands/room.ts";
import type { ServeOptions } from "./commands/serve.ts";
import type { StartOptions } from "./commands/start.ts";
import {
	formatSize,
	type IceServer,
	parseCount,
	parseHubUrl,
	parseIceServer,
	parseNumber,
	parseOrigin,
	parseRelayUrl,
	parseRoom,
	parseRpcUrl,
	parseSize,
	parseTokens,
} from "./optionValues.ts";
import { roomCommand } from "./roomCommand.ts";
import { parseSchedule } from "./schedule.ts";

/** What the commands do; each resolves with an exit status. Loaded when needed: `--help` must not wait for a runtime. */
export interface Commands {
	start(options: StartOptions): Promise<number>;
	lend(options: LendCommandOptions): Promise<number>;
	publish(options: PublishCommandOptions): Promise<number>;
	ask(options: AskOptions): Promise<number>;
	serve(options: ServeOptions): Promise<number>;
	explain(options: ExplainOptions): Promise<number>;
	models(): Promise<number>;
	room(options: RoomOptions): Promise<number>;
}

/** More lenders than this on one machine only take turns on its cores. */
const mostLenders = 64;
const defaultRelay = "http://localhost:8787";

/** An option with its twin in the environment, which the refusal of a bad value names, too. */
function option(flags: string, description: string, env: string): Option {
	return new Option(flags, description).env(env);
}

/** `--port <n>` with TABMESH_PORT becomes `--port (TABMESH_PORT)`. */
function label(of: Option): string {
	return of.envVar === undefined ? (of.long ?? "") : `${of.long} (${of.envVar})`;
}

function parsed<T>(of: Option, parse: (text: string, option: string) => T): Option {
	return of.argParser((text) => parse(text, label(of)));
}

function collected<T>(of: Option, parse: (text: string, option: string) => T): Option {
	return of
		.argParser<T[]>((text, previous) => [
			...(Array.isArray(previous) ? previous : []),
			parse(text, label(of)),
		])
		.default(undefined as T[] | undefined);
}

const relayOption = (): Option =>
	parsed(option("--relay <url>", "address of the network's relay", "TABMESH_RELAY"), parseRelayUrl).default(
		defaultRelay,
	);
const hubOption = (): Option =>
	parsed(
		option("--hub <url>", "hub that hf: names and the catalogue's models are read from", "TABMESH_HUB"),
		parseHubUrl,
	).default("https://huggingface.co/");
const minStagesOption = (): Option =>
	parsed(
		option("--min-stages <n>", "spread the model over at least this many devices", "TABMESH_MIN_STAGES"),
		(text, name) => parseCount(text, name, 1, 64),
	);
const hostOption = (): Option =>
	parsed(
		option(
			"--host <name>",
			"address to listen on; anything but loopback is served over HTTPS",
			"TABMESH_HOST",
		),
		parseHost,
	).default("127.0.0.1");
const tlsCertOption = (): Option =>
	option("--tls-cert <file>", "certificate (PEM); else a self-signed one is made", "TABMESH_TLS_CERT");
const tlsKeyOption = (): Option => option("--tls-key <file>", "its private key (PEM)", "TABMESH_TLS_KEY");
const logLevelOption = (): Option =>
	option("--log-level <level>", "how much to log, as JSON lines on stderr", "TABMESH_LOG_LEVEL")
		.choices(["silent", "error", "warn", "info", "debug"])
		.default("warn");
const metricsTokenOption = (): Option =>
	option("--metrics-token <token>", "bearer token that /metrics asks for", "TABMESH_METRICS_TOKEN");
const waitOption = (): Option =>
	parsed(new Option("--wait <seconds>", "how long to wait for lenders"), (text, name) =>
		parseCount(text, name, 0, 3600),
	).default(15);

const roomOption = (): Option =>
	parsed(option("--room <name>", "room to enter (default: the network's own)", "TABMESH_ROOM"), parseRoom);
const capabilityOption = (): Option =>
	option(
		"--capability <invitation>",
		"invitation to a private room, its link or a file with it; it carries the room's name",
		"TABMESH_CAPABILITY",
	);

/** Only what was given: `exactOptionalPropertyTypes` tells absent from undefined. */
function given<T extends object>(values: T): { [K in keyof T]: NonNullable<T[K]> } {
	return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as {
		[K in keyof T]: NonNullable<T[K]>;
	};
}

/**
 * The command line.
 *
 * @param commands - what it calls
 * @param finish - gets the exit status of the command that ran
 */
export function createProgram(commands: Commands, finish: (status: number) => void): Command {
	const program = new Command("tabmesh")
		.description("Language models spread over browser tabs and devices.")
		.version("0.1.0", "-v, --version")
		.showHelpAfterError("(tabmesh <command> --help says more)")
		.exitOverride();

	program
		.command("start", { isDefault: false })
		.description("Start a network here: the relay, the web pages and a model to run.")
		.addOption(
			parsed(
				option("--port <n>", "port to listen on, 0 for any free one", "TABMESH_PORT"),
				parsePort,
			).default(8787),
		)
		.addOption(hostOption())
		.addOption(tlsCertOption())
		.addOption(tlsKeyOption())
		.addOption(
			option("--public-url <url>", "address under which a proxy in front is reached", "TABMESH_PUBLIC_URL"),
		)
		.addOption(
			collected(
				option("--model <name>", "catalogue id, local folder or file, or URL; repeatable", "TABMESH_MODEL"),
				(text) => text,
			),
		)
		.addOption(hubOption())
		.addOption(minStagesOption().default(1))
		.addOption(
			parsed(
				option("--lenders <n>", "headless lenders to start beside the relay", "TABMESH_LENDERS"),
				(text, name) => parseCount(text, name, 0, mostLenders),
			).default(0),
		)
		.addOption(
			parsed(
				option(
					"--memory <size>",
					"memory of each headless lender (default: its share of half of what is free)",
					"TABMESH_MEMORY",
				),
				parseSize,
			),
		)
		.addOption(
			parsed(option("--room <name>", "room of this network", "TABMESH_ROOM"), parseRoom).default("public"),
		)
		.addOption(
			collected(
				option(
					"--ice-server <uri>",
					"stun:host:port or turn:user:password@host:port; repeatable",
					"TABMESH_ICE_SERVER",
				),
				parseIceServer,
			),
		)
		.addOption(
			parsed(
				option(
					"--chain-rpc <url>",
					"node of the chain that wallets sign for, open to web pages; everybody sees its address",
					"TABMESH_CHAIN_RPC",
				),
				parseRpcUrl,
			),
		)
		.addOption(logLevelOption())
		.addOption(metricsTokenOption())
		.addOption(
			option(
				"--site <folder>",
				"built web pages to serve instead of this project's own",
				"TABMESH_SITE",
			).hideHelp(),
		)
		.addHelpText(
			"after",
			`
Every option can be given in the environment as well: TABMESH_PORT=9000 tabmesh start.
Models are kept in ${cacheFolder()} (TABMESH_CACHE moves that).

Examples:
  tabmesh start                          open the printed address in a few tabs
  tabmesh start --lenders 3              three headless lenders, so that one visitor sees an answer at once
  tabmesh start --lenders 3 --min-stages 3
  tabmesh start --host 0.0.0.0           reachable for phones, over HTTPS
  tabmesh start --model stories15m       a tiny model, for a first look
  tabmesh start --model ./model.gguf     a file or folder of your own`,
		)
		.action(async (values: Record<string, unknown>) => {
			const { model, iceServer, site, ...rest } = values as {
				model?: string[];
				iceServer?: IceServer[];
				site?: string;
			} & Omit<StartOptions, "models" | "iceServers" | "cacheDir" | "siteDir">;
			finish(
				await commands.start({
					...given(rest),
					models: model ?? ["tinyllama-1.1b-chat"],
					iceServers: iceServer ?? [],
					cacheDir: cacheFolder(),
					...(site === undefined ? {} : { siteDir: site }),
				}),
			);
		});

	program
		.command("lend")
		.description("Lend this machine to a network, without a browser.")
		.addOption(relayOption())
		.addOption(
			parsed(
				option("--memory <size>", "memory to lend, such as 500MB or 2GiB", "TABMESH_MEMORY"),
				parseSize,
			).default(
				Math.max(64e6, Math.floor(process.availableMemory() / 2)),
				`half of what is free: ${formatSize(process.availableMemory() / 2)}`,
			),
		)
		.addOption(option("--model <id>", "model to lend for (default: the network's first)", "TABMESH_MODEL"))
		.addOption(
			option(
				"--draft-model <id>",
				"small model with the same vocabulary that guesses tokens, in a part of that memory",
				"TABMESH_DRAFT_MODEL",
			),
		)
		.addOption(
			parsed(
				option(
					"--threads <n>",
					"threads to compute with (default: what --cores says, else 2)",
					"TABMESH_THREADS",
				),
				(text, name) => parseCount(text, name, 1, 256),
			),
		)
		.addOption(
			parsed(
				option("--cores <n>", "processors that may be used at all (default: all of them)", "TABMESH_CORES"),
				(text, name) => parseCount(text, name, 1, 1024),
			),
		)
		.addOption(
			parsed(
				option("--nice <n>", "0: as important as other programs; 19: after all of them", "TABMESH_NICE"),
				(text, name) => parseCount(text, name, 0, 19),
			).default(19),
		)
		.addOption(
			parsed(
				option(
					"--max-load <percent>",
					"pause while other programs use more of the processors than this",
					"TABMESH_MAX_LOAD",
				),
				(text, name) => parseCount(text.replace(/ ?%$/, ""), name, 1, 100),
			),
		)
		.addOption(
			parsed(
				option(
					"--schedule <times>",
					"lend from one time of day to another, such as 22:00-07:00 (default: always)",
					"TABMESH_SCHEDULE",
				),
				parseSchedule,
			),
		)
		.addOption(
			parsed(
				option(
					"--finish <seconds>",
					"how long running answers may take to end when it leaves",
					"TABMESH_FINISH",
				),
				(text, name) => parseCount(text, name, 0, 3600),
			).default(30),
		)
		.addOption(roomOption())
		.addOption(capabilityOption())
		.addOption(
			option(
				"--key-file <file>",
				"key of this peer, made when missing (default: a new one each time)",
				"TABMESH_KEY_FILE",
			),
		)
		.option("--no-keep", "keep no weights on disk for the next time")
		.option("--json", "print one JSON object per change instead of a line")
		.addHelpText(
			"after",
			`
Prints one line for each change of what it holds and serves. Ctrl-C takes nothing new, lets running answers end and
says goodbye; pressed again it ends at once.
Weights are kept in ${join(cacheFolder(), "blocks")} (TABMESH_CACHE moves that), 4 GiB at most.

Examples:
  tabmesh lend --memory 2GiB
  tabmesh lend --relay https://mesh.example.org --cores 4
  tabmesh lend --relay https://mesh.example.org --schedule 22:00-07:00 --max-load 50
  tabmesh lend --capability ./invitation --key-file ~/.config/tabmesh/key.pem --json`,
		)
		.action(async (values: Omit<LendCommandOptions, "cacheDir">) =>
			finish(await commands.lend({ ...given(values), cacheDir: cacheFolder() } as LendCommandOptions)),
		);

	program
		.command("serve")
		.description("Serve OpenAI's API to programs on this machine, answered by the network.")
		.addOption(relayOption())
		.addOption(
			parsed(
				option("--port <n>", "port to listen on, 0 for any free one", "TABMESH_SERVE_PORT"),
				parsePort,
			).default(8788),
		)
		.addOption(hostOption())
		.addOption(tlsCertOption())
		.addOption(tlsKeyOption())
		.addOption(
			collected(
				option(
					"--api-key <key>",
					"key that requests have to bear; repeatable (default: none is needed on this machine)",
					"TABMESH_API_KEY",
				),
				(text) => text,
			),
		)
		.addOption(
			parsed(
				option("--rate-limit <n>", "requests that one key may make within a minute", "TABMESH_RATE_LIMIT"),
				(text, name) => parseCount(text, name, 1, 1_000_000),
			),
		)
		.addOption(
			collected(
				option("--cors-origin <origin>", "pages that may ask, too; repeatable", "TABMESH_CORS_ORIGIN"),
				parseOrigin,
			),
		)
		.addOption(roomOption())
		.addOption(capabilityOption())
		.addOption(waitOption())
		.addOption(logLevelOption())
		.addOption(metricsTokenOption())
		.addHelpText(
			"after",
			`
Prints the base URL for any program that speaks OpenAI's API: chat and text completions, streamed or whole, and the
models of the network. /healthz and /metrics say how it is. Ctrl-C lets running answers end, ten seconds at most.
In the environment, one key or origin can be given.

Examples:
  tabmesh serve
  tabmesh serve --relay https://mesh.example.org --port 8000
  TABMESH_API_KEY=$(openssl rand -hex 24) tabmesh serve --host 0.0.0.0 --rate-limit 60`,
		)
		.action(async (values: Record<string, unknown>) => {
			const { wait, apiKey, corsOrigin, ...rest } = values as Record<string, unknown> & {
				wait: number;
				apiKey?: string[];
				corsOrigin?: string[];
			};
			const options = {
				...given(rest),
				waitSeconds: wait,
				apiKeys: apiKey ?? [],
				corsOrigins: corsOrigin ?? [],
				cacheDir: cacheFolder(),
			};
			finish(await commands.serve(options as unknown as ServeOptions));
		});

	program
		.command("explain")
		.description("Say of every lender what it holds by the network's plan, and why.")
		.addOption(relayOption())
		.addOption(option("--model <id>", "model to look at (default: the network's first)", "TABMESH_MODEL"))
		.addOption(roomOption())
		.addOption(capabilityOption())
		.option("--json", "print one JSON object per lender instead of a line")
		.addHelpText(
			"after",
			`
There is no scheduler: every lender computes the same plan from what all of them announce, and this does, too.

Examples:
  tabmesh explain
  tabmesh explain --relay https://mesh.example.org --model tinyllama-1.1b-chat --json`,
		)
		.action(async (values: ExplainOptions) =>
			finish(await commands.explain(given(values) as ExplainOptions)),
		);

	program
		.command("publish")
		.description("Describe a model by its hashes, so that a network can fetch and check it.")
		.argument("<source>", "local folder or file, URL, or catalogue id")
		.option(
			"--out <folder>",
			"folder to write everything to (default: manifest and origins beside the source)",
		)
		.option("--force", "replace another model's manifest there")
		.addOption(
			new Option(
				"--weights <format>",
				"source: the bytes as they are; q8, q4: rounded to blocks of 8 or 4 bits",
			)
				.choices(["source", "q8", "q4"])
				.default("source"),
		)
		.addOption(hubOption())
		.addHelpText(
			"after",
			`
Writes manifest.cbor (its hash is the model's id), origins.json (where the bytes lie) and gate.cbor (which weight
formats agree with float32 on at least 97 of 100 next tokens: only those are offered), and prints the id. For that the
model reads a page of text once, layer by layer. Nothing is written before everything is checked.

Examples:
  tabmesh publish ./my-model
  tabmesh publish ./model.gguf --out ./public/my-model
  tabmesh publish hf:HuggingFaceTB/SmolLM2-135M-Instruct --weights q8`,
		)
		.action(async (source: string, values: Omit<PublishCommandOptions, "source" | "cacheDir">) => {
			finish(
				await commands.publish({
					source,
					...given(values),
					cacheDir: cacheFolder(),
				} as PublishCommandOptions),
			);
		});

	program
		.command("models")
		.description("List the models of the catalogue: licence, context, and what they need.")
		.action(async () => finish(await commands.models()));

	program
		.command("ask")
		.description("Ask the network and stream the answer.")
		.argument("[text]", "what to ask; read from standard input when absent")
		.addOption(relayOption())
		.addOption(option("--model <id>", "model to ask (default: the network's first)", "TABMESH_MODEL"))
		.addOption(
			parsed(
				new Option("--prompt-tokens <ids>", "token ids instead of a text, such as 1,9038,2501"),
				parseTokens,
			),
		)
		.addOption(roomOption())
		.addOption(capabilityOption())
		.option("--raw", "leave the chat template out and continue the text as it is")
		.addOption(minStagesOption())
		.option(
			"--private",
			"this device computes the first and last step itself: lenders get no text, but numbers that who tries can turn back into most of it",
		)
		.option("--no-speculation", "a trip around the ring for every token: slower, and the same answer")
		.addOption(
			parsed(new Option("--max-tokens <n>", "longest answer (default: 256)"), (text, name) =>
				parseCount(text, name, 1, 1_048_576),
			),
		)
		.addOption(
			parsed(
				new Option("--temperature <t>", "0 always takes the likeliest token (default: 0)"),
				(text, name) => parseNumber(text, name, 0, 10),
			),
		)
		.addOption(
			parsed(new Option("--seed <n>", "the same seed gives the same answer"), (text, name) =>
				parseCount(text, name, 0, 2 ** 32 - 1),
			),
		)
		.option("--json", "print one JSON object with tokens, peers and timing instead of the text")
		.addOption(waitOption())
		.addHelpText(
			"after",
			`
The answer goes to standard output, numbers go to standard error. Ctrl-C cancels.

Examples:
  tabmesh ask "What is the capital of France?"
  echo "Once upon a time" | tabmesh ask --max-tokens 64
  tabmesh ask --prompt-tokens 1,9038,2501 --json`,
		)
		.action(async (text: string | undefined, values: Record<string, unknown>) => {
			const { wait, ...rest } = values as Record<string, unknown> & { wait: number };
			const options = { ...given(rest), waitSeconds: wait, ...(text === undefined ? {} : { text }) };
			finish(await commands.ask(options as unknown as AskOptions));
		});
	program.addCommand(roomCommand(async (options) => finish(await commands.room(options))));
	return program;
}

/** A signal that is aborted when the process is asked to stop, or when the parent that forked it is gone. */
export function stopSignal(): AbortSignal {
	const controller = new AbortController();
	void stopOnSignals(async () => controller.abort(new DOMException("Stopped.", "AbortError")));
	process.once("disconnect", () => controller.abort(new DOMException("The parent ended.", "AbortError")));
	return controller.signal;
}
