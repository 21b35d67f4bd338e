import { availableParallelism } from "node:os";
import { setFlagsFromString } from "node:v8";
import { phoneSteps, startRelay } from "@tabmesh/relay";
import { pino } from "pino";
import { askChainId } from "../askChainId.ts";
import { buildSite } from "../buildSite.ts";
import { describeModel } from "../describeModel.ts";
import { startLenderProcesses } from "../lenderProcesses.ts";
import { modelRoutes, type ServedModel } from "../modelRoutes.ts";
import type { IceServer } from "../optionValues.ts";
import { resolveModel } from "../resolveModel.ts";

/** `tabmesh start`: what the command line gave. */
export interface StartOptions {
	port: number;
	host: string;
	tlsCert?: string;
	tlsKey?: string;
	publicUrl?: string;
	models: string[];
	/** Where `hf:` names are looked up. */
	hub?: string;
	minStages: number;
	lenders: number;
	/** Bytes that each headless lender lends. */
	memory?: number;
	room: string;
	iceServers: IceServer[];
	/** Where a node of the chain that wallets sign for answers JSON-RPC. */
	chainRpc?: string;
	cacheDir: string;
	logLevel: string;
	metricsToken?: string;
	/** Folder of a built site; absent: the repository's own, built when it is stale. */
	siteDir?: string;
}

/** Where the command writes. */
export interface StartOutput {
	/** For results: the address. */
	print: (line: string) => void;
	/** For everything on the way there. */
	note: (line: string) => void;
}

/** A running network. */
export interface StartedNetwork {
	readonly url: string;
	readonly multiaddrs: readonly string[];
	readonly models: readonly string[];
	readonly lenderPids: readonly number[];
	stop(): Promise<void>;
}

async function serve(spec: string, options: StartOptions, signal: AbortSignal): Promise<ServedModel> {
	const { cacheDir, hub } = options;
	const { source, name, license } = await resolveModel(spec, {
		cacheDir,
		signal,
		...(hub === undefined ? {} : { hub }),
	});
	const { published, gateBytes } = await describeModel(source, { name, cacheDir, signal });
	return { published, source, name, gate: gateBytes, ...(license === undefined ? {} : { license }) };
}

/** Half of the memory that is left, shared out: the other half is for the browser that will be opened beside. */
function defaultMemory(lenders: number): number {
	return Math.max(64e6, Math.floor(process.availableMemory() / 2 / Math.max(1, lenders)));
}

/**
 * The main job: builds the site where needed, fetches and publishes the models, starts the relay, and lenders beside it.
 *
 * @throws PortInUseError, InvalidParameterError, InsecureOriginError, ModelNotFoundError, ModelSourceError, ModelFileError,
 * SiteBuildError, ChainUnreachableError; nothing keeps running then
 */
export async function start(
	options: StartOptions,
	output: StartOutput,
	signal: AbortSignal,
): Promise<StartedNetwork> {
	// A relay runs for weeks and mostly hands small messages on: V8 collects earlier instead of growing its heap, which
	// halves the memory of a busy relay (bench:relay) for a few per cent of one core.
	setFlagsFromString("--optimize-for-size");
	const siteDir =
		options.siteDir ??
		(await buildSite({
			onStart: () => output.note("Building the web pages (once, under a minute) …"),
			signal,
		}));
	const served: ServedModel[] = [];
	for (const spec of options.models) served.push(await serve(spec, options, signal));
	const routes = modelRoutes(served);

	const { chainRpc } = options;
	const chain =
		chainRpc === undefined ? undefined : { id: await askChainId(chainRpc, signal), rpc: chainRpc };

	const relay = await startRelay({
		port: options.port,
		host: options.host,
		siteDir,
		site: () => ({
			room: options.room,
			models: routes.models,
			minStages: options.minStages,
			...(options.iceServers.length > 0 ? { iceServers: options.iceServers } : {}),
			...(chain ? { chain } : {}),
		}),
		...(chain ? { connectOrigins: [new URL(chain.rpc).origin] } : {}),
		tls: {
			...(options.tlsCert === undefined ? {} : { certFile: options.tlsCert }),
			...(options.tlsKey === undefined ? {} : { keyFile: options.tlsKey }),
		},
		cacheDir: options.cacheDir,
		...(options.publicUrl === undefined ? {} : { publicUrl: options.publicUrl }),
		...(options.metricsToken === undefined ? {} : { metricsToken: options.metricsToken }),
		extraRoutes: { [routes.prefix]: (request) => routes.handle(request) },
		loopbackTwin: options.lenders > 0,
		logger: pino({ level: options.logLevel }, pino.destination(2)),
		signal,
	});
	const lenders = startLenderProcesses({
		count: options.lenders,
		relay: relay.loopbackUrl,
		memoryBytes: options.memory ?? defaultMemory(options.lenders),
		model: served[0]?.published.id ?? "",
		threads: Math.max(1, Math.floor(availableParallelism() / Math.max(1, options.lenders))),
		onLine: (lender, line) => output.note(`lender ${lender}: ${line}`),
	});

	output.print(`\n  ${relay.url}\n`);
	output.print(`  Lend this device   ${relay.url}/lend`);
	output.print(`  Ask                ${relay.url}/chat\n`);
	const names = served.map(({ name }) => name).join(", ");
	output.note(`Model ${names || "none"} · room ${options.room} · Ctrl-C stops everything`);
	if (relay.certificate?.selfSigned)
		for (const step of phoneSteps(relay.url, relay.certificate)) output.note(step);

	return {
		url: relay.url,
		multiaddrs: relay.multiaddrs,
		models: served.map(({ published }) => published.id),
		get lenderPids() {
			return lenders.pids;
		},
		async stop() {
			await lenders.stop();
			await relay.stop();
		},
	};
}
