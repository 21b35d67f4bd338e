import type { Tabmesh } from "@tabmesh/client";
import { createOpenAi, type OpenAi } from "@tabmesh/client/openai";
import { InvalidParameterError, toWireError } from "@tabmesh/wire";
import * as v from "valibot";
import { type Method, type ToFrame, toFrameSchema } from "../frameMessages.ts";
import { greetPage, type Page } from "./greetPage.ts";
import { measureCall } from "./measureCall.ts";
import { gatePrompt } from "./promptGate.ts";

/** How long a network may take to say which models it has; manifests are a few kilobytes. */
const modelsMs = 10_000;

const page = await greetPage("/chat");
try {
	const { connect } = await import("@tabmesh/client");
	const { capability } = page.hello;
	const mesh = await connect(capability === undefined ? {} : { capability });
	await modelsOf(mesh);
	serve(page, createOpenAi(mesh));
	page.tell({ type: "connected" });
} catch (error) {
	page.tell({ type: "refused", error: toWireError(error) });
}

/** Waits for the first manifest. A network without models has none, which a call will say. */
async function modelsOf(mesh: Tabmesh): Promise<void> {
	const enough = AbortSignal.timeout(modelsMs);
	while (mesh.models.length === 0 && !enough.aborted) {
		const { promise, resolve } = Promise.withResolvers<void>();
		mesh.addEventListener("swarm", () => resolve(), { once: true, signal: enough });
		enough.addEventListener("abort", () => resolve(), { once: true });
		await promise;
	}
}

/** Answers what the page calls. What it sends is a stranger's. */
function serve({ port, tell }: Page, openai: OpenAi): void {
	const running = new Map<number, AbortController>();
	async function answer(id: number, method: Method, params: unknown): Promise<void> {
		if (running.has(id)) return;
		const ending = new AbortController();
		running.set(id, ending);
		try {
			measureCall(params);
			if (method === "models.list") return tell({ type: "result", id, value: await openai.models.list() });
			if (method === "models.retrieve") {
				const model = v.safeParse(v.string(), params);
				if (!model.success) throw new InvalidParameterError("A model has to be named.");
				return tell({ type: "result", id, value: await openai.models.retrieve(model.output) });
			}
			const { signal } = ending;
			await gatePrompt(async () => {
				// What it is that was sent, `createOpenAi` reads: unknown fields and wrong ones have their errors there.
				const call = {
					"chat.completions.create": openai.chat.completions.create,
					"completions.create": openai.completions.create,
					"embeddings.create": openai.embeddings.create,
				}[method] as (params: unknown, options: { signal: AbortSignal }) => Promise<unknown>;
				const value = await call(params, { signal });
				if (!isStream(value)) return tell({ type: "result", id, value });
				tell({ type: "begun", id });
				for await (const piece of value) tell({ type: "piece", id, value: piece });
				tell({ type: "end", id });
			});
		} catch (error) {
			tell({ type: "failed", id, error: toWireError(error) });
		} finally {
			running.delete(id);
		}
	}
	port.onmessage = ({ data }) => {
		const read = v.safeParse(toFrameSchema, data);
		if (!read.success) return;
		const message: ToFrame = read.output;
		if (message.type === "call") void answer(message.id, message.method, message.params);
		else if (message.type === "cancel") running.get(message.id)?.abort();
	};
}

function isStream(value: unknown): value is AsyncIterable<unknown> {
	return typeof value === "object" && value !== null && Symbol.asyncIterator in value;
}
