import { ExpirationPlugin } from "workbox-expiration";
import { cleanupOutdatedCaches, matchPrecache, precacheAndRoute } from "workbox-precaching";
import { registerRoute } from "workbox-routing";
import { CacheFirst, NetworkOnly } from "workbox-strategies";

// The site without a network: pages open, say that they are offline, and go on when it comes back. Models and what people
// keep lie in IndexedDB and are none of this worker's business; neither is anything that changes (`/tabmesh.json`).

interface ShellFile {
	readonly url: string;
	/** Hash of a file whose name stays the same; null where the name has it. */
	readonly revision: string | null;
}

/** What pages need to show themselves: put here by the build. */
declare const SHELL: ShellFile[];
/** This very global scope, as far as it is used here; TypeScript's own description of it excludes that of a page. */
declare const self: {
	skipWaiting(): Promise<void>;
	readonly clients: { claim(): Promise<void> };
	addEventListener(type: "message", listener: (event: { data: unknown }) => void): void;
	addEventListener(
		type: "activate",
		listener: (event: { waitUntil(promise: Promise<unknown>): void }) => void,
	): void;
};

/** Engine, client and runtime of two versions: older ones go first. Its type does not know `exactOptionalPropertyTypes`. */
const expiration: object = new ExpirationPlugin({ maxEntries: 60, purgeOnQuotaError: true });

cleanupOutdatedCaches();

// A page comes from the network as long as there is one: it names the assets that are there now.
registerRoute(
	({ request }) => request.mode === "navigate",
	new NetworkOnly({
		plugins: [
			{
				handlerDidError: async ({ request }) => {
					const { pathname } = new URL(request.url);
					const folder = pathname.replace(/\/(?:index\.html)?$/, "");
					return (await matchPrecache(`${folder}/index.html`)) ?? matchPrecache("/index.html");
				},
			},
		],
	}),
);

precacheAndRoute(SHELL);

// What a click loads (the client, the engine) is kept from then on: its name never changes its bytes.
registerRoute(
	({ url, sameOrigin }) => sameOrigin && url.pathname.startsWith("/assets/"),
	new CacheFirst({
		cacheName: "tabmesh-assets",
		plugins: [expiration],
	}),
);

// A tab that lends is not taken over by a new version: a person says when.
self.addEventListener("message", ({ data }) => {
	if (data === "take over") void self.skipWaiting();
});
self.addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));
