/** Vite: the address under which a file is served. */
declare module "*?url" {
	const url: string;
	export default url;
}

/** Its own types are written for a CommonJS module, which it is not. */
declare module "comlink/dist/esm/node-adapter.mjs" {
	import type { MessagePort, Worker } from "node:worker_threads";
	import type { Endpoint } from "comlink";
	export default function nodeEndpoint(port: Worker | MessagePort): Endpoint;
}
