import "@tabmesh/elements/chat";
import "@tabmesh/elements/language";
import "@tabmesh/elements/update";

const element = document.querySelector("tabmesh-chat")!;

/** An invitation to a private room comes behind the `#`: browsers never send that part to anybody. */
const capability = location.hash.slice(1);

// Looking costs nobody anything, so this page reaches for the network at once; the panel is drawn before it arrives.
element.connect = async (signal) => {
	const { connect } = await import("@tabmesh/client");
	return connect({ signal, ...(capability === "" ? {} : { capability }) });
};

/** A running answer is kept here until the page is loaded again, in this tab only; undefined where the browser keeps nothing. */
const storage = (() => {
	try {
		return sessionStorage;
	} catch {
		return undefined;
	}
})();
const leftKey = "tabmesh-left";
element.left = storage?.getItem(leftKey) ?? undefined;
storage?.removeItem(leftKey);
// Before the network's own goodbye, which would end the answer: that listens later.
addEventListener("pagehide", () => {
	const left = element.leave();
	if (left !== undefined) storage?.setItem(leftKey, left);
});

let title = document.title;
addEventListener("tabmesh-language", () => {
	title = document.title;
});
element.addEventListener("tabmesh-answer", ({ detail }) => {
	document.title = detail.status === "running" ? `… ${title}` : title;
});

// A page that comes back out of the back/forward cache has said goodbye to its peers when it went in.
addEventListener("pageshow", (event) => {
	if (event.persisted) location.reload();
});
