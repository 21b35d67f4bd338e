import type { OpenAi } from "@tabmesh/client/openai";
import { fromWireError, InvalidParameterError, StreamResetError } from "@tabmesh/wire";
import type { Method, ToPage } from "./frameMessages.ts";
import { createFrame, type Frame, openFrame, relayOrigin } from "./openFrame.ts";

/** How to reach a network from a page. */
export interface ConnectOptions {
	/** Address of the relay. @default where the script tag's script came from */
	relay?: string;
	/** An invitation to a private room. */
	capability?: string;
	signal?: AbortSignal;
}

/** A network, asked as OpenAI's own client asks. */
export interface TabmeshClient extends OpenAi {
	/** Says goodbye. Answers that run break off. */
	close(): void;
}

interface Call {
	result(value: unknown): void;
	piece(value: unknown): void;
	begun(): void;
	end(): void;
	fail(error: unknown): void;
}

/**
 * Reaches the network through a frame of the relay's own origin: keys, connections and code of Tabmesh stay in there, this page gives
 * prompts and gets answers. To be called when the visitor has clicked something; nothing is loaded before.
 *
 * @throws ConsentRequiredError, InsecureOriginError, InvalidParameterError, PeerUnreachableError, UnsupportedVersionError, CapabilityError
 *
 * @example
 * ```ts
 * import { connect } from "@tabmesh/embed";
 * const client = await connect({ relay: "https://relay.example.org" });
 * const { data } = await client.models.list();
 * const messages = [{ role: "user" as const, content: "What is the capital of France?" }];
 * const answer = await client.chat.completions.create({ model: data[0]!.id, messages, stream: true });
 * for await (const { choices } of answer) document.body.append(choices[0]?.delta.content ?? "");
 * client.close();
 * ```
 */
export async function connect(options: ConnectOptions = {}): Promise<TabmeshClient> {
	if (options.relay === undefined) {
		throw new InvalidParameterError("The address of a relay is needed.", {
			metaMessages: ['Give it as `relay`, for example "https://relay.example.org".'],
		});
	}
	const relay = relayOrigin(options.relay);
	const { capability, signal } = options;
	const calls = new Map<number, Call>();
	const connected = Promise.withResolvers<void>();
	const iframe = createFrame(relay, "ask", "Tabmesh");
	iframe.hidden = true;
	iframe.style.display = "none";
	const frame = await openFrame(iframe, () => document.body.append(iframe), {
		relay,
		hello: capability === undefined ? {} : { capability },
		onMessage: (message) => hear(message, calls, connected),
		...(signal ? { signal } : {}),
	});
	const onAbort = (): void => connected.reject(signal?.reason);
	signal?.addEventListener("abort", onAbort);
	try {
		await connected.promise;
	} catch (error) {
		frame.close();
		throw error;
	} finally {
		signal?.removeEventListener("abort", onAbort);
	}
	return clientOf(frame, calls);
}

function hear(
	message: ToPage,
	calls: ReadonlyMap<number, Call>,
	connected: { resolve(): void; reject(error: unknown): void },
): void {
	if (message.type === "connected") connected.resolve();
	else if (message.type === "refused") connected.reject(fromWireError(message.error));
	else if ("id" in message) {
		const call = calls.get(message.id);
		if (message.type === "result") call?.result(message.value);
		else if (message.type === "begun") call?.begun();
		else if (message.type === "piece") call?.piece(message.value);
		else if (message.type === "end") call?.end();
		else call?.fail(fromWireError(message.error));
	}
}

function clientOf(frame: Frame, calls: Map<number, Call>): TabmeshClient {
	let last = 0;
	let closed = false;
	const call = (
		method: Method,
		params: unknown,
		{ signal }: { signal?: AbortSignal } = {},
	): Promise<unknown> =>
		new Promise((resolve, reject) => {
			signal?.throwIfAborted();
			if (closed) throw new StreamResetError("This connection was closed.");
			const id = last++;
			const pieces = new Pieces();
			const cancel = (): void => {
				if (!calls.has(id)) return;
				over();
				frame.send({ type: "cancel", id });
			};
			const onAbort = (): void => {
				cancel();
				reject(signal!.reason);
				pieces.fail(signal!.reason);
			};
			const over = (): void => {
				calls.delete(id);
				signal?.removeEventListener("abort", onAbort);
			};
			signal?.addEventListener("abort", onAbort);
			calls.set(id, {
				result: (value) => {
					over();
					resolve(value);
				},
				begun: () => resolve(pieces.read(cancel)),
				piece: (value) => pieces.push(value),
				end: () => {
					over();
					pieces.end();
				},
				fail: (error) => {
					over();
					reject(error);
					pieces.fail(error);
				},
			});
			frame.send({ type: "call", id, method, params });
		});
	const calling = (method: Method) => (params?: unknown, options?: { signal?: AbortSignal }) =>
		call(method, params, options);
	return {
		chat: { completions: { create: calling("chat.completions.create") } },
		completions: { create: calling("completions.create") },
		embeddings: { create: calling("embeddings.create") },
		models: { list: calling("models.list"), retrieve: calling("models.retrieve") },
		close() {
			closed = true;
			for (const running of [...calls.values()])
				running.fail(new StreamResetError("This connection was closed."));
			frame.close();
		},
	} as TabmeshClient;
}

/** Pieces that came and were not read yet. */
class Pieces {
	readonly #waiting: unknown[] = [];
	#error: { readonly error: unknown } | undefined;
	#ended = false;
	#wake: (() => void) | undefined;

	push(value: unknown): void {
		this.#waiting.push(value);
		this.#wake?.();
	}

	end(): void {
		this.#ended = true;
		this.#wake?.();
	}

	fail(error: unknown): void {
		this.#error ??= { error };
		this.#wake?.();
	}

	/** @param cancel - called when the reader stops before the end */
	async *read(cancel: () => void): AsyncGenerator<unknown, void> {
		try {
			for (;;) {
				if (this.#waiting.length > 0) yield this.#waiting.shift();
				else if (this.#error) throw this.#error.error;
				else if (this.#ended) return;
				else {
					await new Promise<void>((resolve) => {
						this.#wake = resolve;
					});
				}
			}
		} finally {
			cancel();
		}
	}
}
