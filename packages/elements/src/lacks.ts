/** What a browser may lack of what the network needs. */
export type Lack = "secure" | "peers" | "compute" | "workers";
/** What somebody came for: to ask, to lend, or to look on. */
export type Purpose = "ask" | "lend" | "look";

const present: Readonly<Record<Lack, () => boolean>> = {
	// Plain HTTP: neither keys that nobody reads out, nor locks, and every relay would be refused.
	secure: () => globalThis.isSecureContext,
	// Firefox gives `undefined` where it is switched off, builds without it have no such name.
	peers: () =>
		typeof globalThis.RTCPeerConnection === "function" && typeof globalThis.WebSocket === "function",
	// WebGPU, too, is reached through a runtime that is WebAssembly.
	compute: () => typeof globalThis.WebAssembly?.compileStreaming === "function",
	// Every browser that reads this very module lets workers be modules.
	workers: () => typeof globalThis.Worker === "function",
};

const needed: Readonly<Record<Purpose, readonly Lack[]>> = {
	ask: ["secure", "peers"],
	lend: ["secure", "peers", "compute", "workers"],
	look: ["secure", "peers"],
};

/** What this browser lacks for it, found without starting anything; empty where it can. */
export function lacksFor(purpose: Purpose): Lack[] {
	return needed[purpose].filter((name) => !present[name]());
}

/** Whether the browser has no store at all. Lending works without; one that refuses later is told of on the storage page. */
export function keepsNothing(): boolean {
	return globalThis.indexedDB === undefined;
}
