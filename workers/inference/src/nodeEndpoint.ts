import type { MessagePort, Worker } from "node:worker_threads";
import type { Endpoint } from "comlink";
import adapt from "comlink/dist/esm/node-adapter.mjs";

/** A thread of Node, or the way back from one, as comlink takes it. */
export function nodeEndpoint(port: Worker | MessagePort): Endpoint {
	return adapt(port);
}
