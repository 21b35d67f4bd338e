import "@tabmesh/elements/console";
import "@tabmesh/elements/language";
import "@tabmesh/elements/update";
import { readRelay } from "./readRelay.ts";

const element = document.querySelector("tabmesh-console")!;

/** What is looked at stands behind the `#`, so that it can be sent to somebody; an invitation to a private room, too. */
const address = () => new URLSearchParams(location.hash.slice(1));

function follow(): void {
	element.model = address().get("model") ?? "";
	element.peer = address().get("peer") ?? "";
}
follow();

element.addEventListener("tabmesh-look", ({ detail }) => {
	const next = address();
	for (const name of ["model", "peer", "room"] as const) {
		const value = detail[name];
		if (value === "") next.delete(name);
		else if (value !== undefined) next.set(name, value);
	}
	if (detail.room === undefined) {
		history.replaceState(null, "", `${location.pathname}#${next}`);
		return;
	}
	next.delete("invitation");
	location.hash = String(next);
});

let entered = `${address().get("room")} ${address().get("invitation")}`;
addEventListener("hashchange", () => {
	const wanted = `${address().get("room")} ${address().get("invitation")}`;
	// A page is in one room for as long as it lives.
	if (wanted !== entered) location.reload();
	entered = wanted;
	follow();
});

element.readRelay = readRelay;

// Looking costs nobody anything, so this page reaches for the network at once; the panel is drawn before it arrives.
element.connect = async (signal) => {
	const { connect } = await import("@tabmesh/client");
	const room = address().get("room");
	const capability = address().get("invitation");
	return connect({
		signal,
		...(room === null ? {} : { room }),
		...(capability === null ? {} : { capability }),
	});
};

// A page that comes back out of the back/forward cache has said goodbye to its peers when it went in.
addEventListener("pageshow", (event) => {
	if (event.persisted) location.reload();
});
