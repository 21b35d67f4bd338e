import type { GenerateOptions, ModelView, Tabmesh } from "@tabmesh/client";
import { EmptyPromptError, InvalidParameterError, ModelNotFoundError, NoRouteError } from "@tabmesh/wire";
import { type Entry, enterNetwork } from "../enterNetwork.ts";
import { formatSize } from "../optionValues.ts";

/** `tabmesh ask`: what the command line gave. */
export interface AskOptions extends Entry {
	text?: string;
	promptTokens?: number[];
	model?: string;
	/** Leave the chat template out. */
	raw?: boolean;
	minStages?: number;
	/** Compute embedding, first layers and head here, so that lenders get no text. */
	private?: boolean;
	/** Let the first stage guess tokens; the answer is the same. */
	speculation?: boolean;
	maxTokens?: number;
	temperature?: number;
	seed?: number;
	/** Print one JSON object instead of the text. */
	json?: boolean;
	/** How long to wait for lenders before giving up. */
	waitSeconds: number;
}

/** Where the command reads and writes; the terminal's own streams outside of tests. */
export interface AskStreams {
	stdin: NodeJS.ReadStream;
	stdout: NodeJS.WritableStream;
	stderr: NodeJS.WritableStream;
}

/** Text longer than this is no prompt: no context holds it, and reading on would only fill memory. */
const longestInput = 16 * 1024 * 1024;

async function readPrompt(options: AskOptions, stdin: NodeJS.ReadStream): Promise<string | undefined> {
	if (options.promptTokens !== undefined) {
		if (options.text === undefined) return undefined;
		throw new InvalidParameterError("TEXT and --prompt-tokens exclude each other.");
	}
	if (options.text !== undefined) return options.text;
	if (stdin.isTTY) {
		throw new EmptyPromptError("There is nothing to ask.", {
			metaMessages: ['Give a text: tabmesh ask "Once upon a time", or send one through standard input.'],
		});
	}
	const pieces: Buffer[] = [];
	let bytes = 0;
	for await (const piece of stdin) {
		pieces.push(piece as Buffer);
		bytes += (piece as Buffer).byteLength;
		if (bytes > longestInput) throw new InvalidParameterError("Standard input is too long for a prompt.");
	}
	// Broken UTF-8 becomes U+FFFD, as in a browser's text field.
	return new TextDecoder().decode(Buffer.concat(pieces)).replace(/\r?\n$/, "");
}

/** Manifests take a moment to arrive; a name that none of them bears after this long is not offered here. */
const manifestsMs = 3000;

function noSuchModel(mesh: Tabmesh, wanted: string | undefined): ModelNotFoundError {
	const names = mesh.models.map(({ name }) => name).join(", ");
	return new ModelNotFoundError(
		wanted === undefined || names === ""
			? "This network offers no model that can be read."
			: `This network does not offer the model "${wanted.slice(0, 100)}".`,
		{ metaMessages: names === "" ? [] : [`It offers: ${names}.`] },
	);
}

function noRoute(mesh: Tabmesh, model: ModelView, relay: string): NoRouteError {
	const lenders = mesh.members.filter((member) => member.lends !== undefined).length;
	const { missingBytes } = model.coverage;
	const missing = missingBytes > 0 ? `: ${formatSize(missingBytes)} are missing` : "";
	const here = lenders === 1 ? "The one lender here does" : `The ${lenders} lenders here do`;
	return new NoRouteError(
		lenders === 0
			? `Nobody lends a device for ${model.name} yet.`
			: `${here} not hold all of ${model.name} yet${missing}.`,
		{ metaMessages: [`Open ${relay}/lend in a browser, or run: tabmesh lend --relay ${relay}`] },
	);
}

/** Waits until the swarm holds the whole model; lenders that are loading keep the wait alive. */
async function waitForModel(
	mesh: Tabmesh,
	options: AskOptions,
	stderr: NodeJS.WritableStream,
	signal: AbortSignal,
): Promise<ModelView> {
	const wanted = options.model;
	const started = performance.now();
	let told = false;
	for (;;) {
		signal.throwIfAborted();
		const { models } = mesh;
		const model =
			wanted === undefined ? models[0] : models.find(({ id, name }) => id === wanted || name === wanted);
		if (model?.coverage.complete) return model;
		const waitedMs = performance.now() - started;
		if (!model && waitedMs > manifestsMs) throw noSuchModel(mesh, wanted);
		if (model) {
			const { loading } = model.coverage;
			if (waitedMs > 1000 * options.waitSeconds * (loading > 0 ? 4 : 1))
				throw noRoute(mesh, model, options.relay);
			if (!told && waitedMs > 2000) {
				told = true;
				stderr.write(
					loading > 0 ? "Waiting for lenders to load their layers …\n" : "Waiting for lenders …\n",
				);
			}
		}
		await new Promise((resolve) => setTimeout(resolve, 50));
	}
}

function requestOf(options: AskOptions, model: ModelView, prompt: string | undefined): GenerateOptions {
	const { promptTokens, minStages, private: isPrivate, speculation, maxTokens, temperature, seed } = options;
	return {
		model: model.id,
		...(promptTokens !== undefined
			? { promptTokens }
			: options.raw || !model.chats
				? { prompt: prompt ?? "" }
				: { messages: [{ role: "user" as const, content: prompt ?? "" }] }),
		...(minStages === undefined ? {} : { minStages }),
		...(isPrivate ? { private: true } : {}),
		...(speculation === undefined ? {} : { speculation }),
		...(maxTokens === undefined ? {} : { maxTokens }),
		// A terminal's answers are repeatable unless chance is asked for.
		temperature: temperature ?? 0,
		...(seed === undefined ? {} : { seed }),
	};
}

/** Loads what a private answer needs here, and says how far it is. */
async function loadOwnPart(
	mesh: Tabmesh,
	model: ModelView,
	stderr: NodeJS.WritableStream,
	signal: AbortSignal,
): Promise<void> {
	let told = 0;
	const onChange = (): void => {
		const { loading } = mesh.private.view;
		const tenths =
			loading && loading.totalBytes > 0 ? Math.floor((10 * loading.loadedBytes) / loading.totalBytes) : 0;
		if (tenths <= told) return;
		told = tenths;
		stderr.write(`This device loads its own part: ${10 * tenths} % of ${formatSize(loading!.totalBytes)}\n`);
	};
	mesh.private.addEventListener("change", onChange);
	try {
		await mesh.private.load(model.id, { signal });
	} finally {
		mesh.private.removeEventListener("change", onChange);
	}
}

/**
 * Asks the swarm behind a relay. The answer streams to stdout, numbers go to stderr; with `json` stdout gets one object.
 *
 * @returns the exit status: 0, or 130 where the person cancelled
 * @throws what the swarm answers; the caller turns it into one sentence
 */
export async function ask(options: AskOptions, streams: AskStreams, signal: AbortSignal): Promise<number> {
	const { stdout, stderr } = streams;
	const prompt = await readPrompt(options, streams.stdin);
	const mesh = await enterNetwork(options, signal);
	try {
		const model = await waitForModel(mesh, options, stderr, signal);
		if (options.private) await loadOwnPart(mesh, model, stderr, signal);
		const generation = mesh.generate(requestOf(options, model, prompt));
		signal.addEventListener("abort", () => generation.cancel(), { once: true });
		// The iterator tells the same error.
		generation.summary.catch(() => {});
		let written = false;
		for await (const { text } of generation) {
			if (!options.json && text !== "") {
				stdout.write(text);
				written = true;
			}
		}
		const summary = await generation.summary;
		const { timing, tokens, promptTokens, finishReason, stages } = summary;
		if (options.json) {
			const peers = stages.map(({ peer, span, msPerToken }) => ({
				peer,
				span: [span.from, span.to],
				msPerToken,
			}));
			const { model: id, text } = summary;
			stdout.write(
				`${JSON.stringify({ model: id, promptTokens, tokens, text, finishReason, peers, timing })}\n`,
			);
		} else {
			if (written) stdout.write("\n");
			const ring = stages
				.map(
					({ peer, span, msPerToken }) =>
						`${peer.slice(-6)} [${span.from},${span.to}) ${msPerToken.toFixed(1)} ms`,
				)
				.join(" → ");
			stderr.write(
				`${tokens.length} tokens · first after ${Math.round(timing.firstTokenMs)} ms · ${timing.tokensPerSecond.toFixed(1)} tokens/s · ${finishReason} · ${ring}\n`,
			);
		}
		return finishReason === "cancelled" ? 130 : 0;
	} finally {
		await mesh.close();
	}
}
