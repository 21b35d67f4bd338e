import type { Tabmesh } from "@tabmesh/client";
import "@tabmesh/elements/lend";
import "@tabmesh/elements/language";
import "@tabmesh/elements/update";
import "@tabmesh/elements/wallet";

const element = document.querySelector("tabmesh-lend")!;
const wallet = document.querySelector("tabmesh-wallet")!;

/** An invitation to a private room comes behind the `#`: browsers never send that part to anybody. */
const capability = location.hash.slice(1);
if (capability !== "") element.lendHref = `/lend#${capability}`;

element.storageHref = "/storage";
element.openHistory = async () => (await import("@tabmesh/client/history")).openHistory();

let opening: Promise<Tabmesh> | undefined;

/** The one network of this page, opened by whichever button is pressed first. */
function open(signal: AbortSignal): Promise<Tabmesh> {
	// Nothing of the network is even downloaded before: libp2p, the engine and the model come with this import.
	opening ??= import("@tabmesh/client")
		.then(({ connect }) => connect({ signal, ...(capability === "" ? {} : { capability }) }))
		.catch((error) => {
			opening = undefined;
			throw error;
		});
	return opening;
}

element.connect = async (signal) => {
	const tabmesh = await open(signal);
	wallet.tabmesh = tabmesh;
	return tabmesh;
};
wallet.connect = async (signal) => {
	const tabmesh = await open(signal);
	element.tabmesh = tabmesh;
	return tabmesh;
};

let title = document.title;
addEventListener("tabmesh-language", () => {
	title = document.title;
});
const marks: Record<string, string> = { loading: "… ", serving: "● ", paused: "❙❙ ", failed: "! " };
element.addEventListener("tabmesh-phase", ({ detail }) => {
	document.title = `${marks[detail.phase ?? ""] ?? ""}${title}`;
});

// A page that comes back out of the back/forward cache has said goodbye to its peers when it went in.
addEventListener("pageshow", (event) => {
	if (event.persisted) location.reload();
});
