import "@tabmesh/elements/lend";

const element = document.querySelector("tabmesh-lend")!;

// Nothing of the network is even downloaded before Join: libp2p, the engine and the model come with this import.
element.connect = async (signal) => {
	const { connect } = await import("@tabmesh/client");
	return connect({ signal });
};

const title = document.title;
const marks: Record<string, string> = { loading: "… ", serving: "● ", paused: "❙❙ ", failed: "! " };
element.addEventListener("tabmesh-phase", ({ detail }) => {
	document.title = `${marks[detail.phase ?? ""] ?? ""}${title}`;
});

// A page that comes back out of the back/forward cache has said goodbye to its peers when it went in.
addEventListener("pageshow", (event) => {
	if (event.persisted) location.reload();
});
