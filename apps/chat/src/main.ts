import "@tabmesh/elements/chat";
import { openConversations } from "@tabmesh/elements/conversations";
import "@tabmesh/elements/language";
import "@tabmesh/elements/update";

const element = document.querySelector("tabmesh-chat")!;

/** An invitation to a private room comes behind the `#`: browsers never send that part to anybody. Behind it, which conversation is shown. */
const readHash = (): { capability: string; conversation: string } => {
	const [capability = "", conversation = ""] = location.hash.slice(1).split("/c/", 2);
	return { capability, conversation };
};
const { capability } = readHash();

element.store = openConversations();
element.conversation = readHash().conversation;
addEventListener("popstate", () => {
	element.conversation = readHash().conversation;
});

// Looking costs nobody anything, so this page reaches for the network unasked; the panel is drawn and quiet before.
element.patient = true;
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

let pageTitle = document.title;
let conversationTitle = "";
let isAnswering = false;
const showTitle = () => {
	const title = conversationTitle === "" ? pageTitle : `${conversationTitle} · ${pageTitle}`;
	document.title = isAnswering ? `… ${title}` : title;
};
addEventListener("tabmesh-language", () => {
	pageTitle = document.title;
	showTitle();
});
element.addEventListener("tabmesh-answer", ({ detail }) => {
	isAnswering = detail.status === "running";
	showTitle();
});
element.addEventListener("tabmesh-conversation", ({ detail: { id, title } }) => {
	conversationTitle = title;
	showTitle();
	const hash = id === "" ? capability : `${capability}/c/${id}`;
	if (hash !== location.hash.slice(1))
		history.pushState(undefined, "", hash === "" ? location.pathname : `#${hash}`);
});

// A page that comes back out of the back/forward cache has said goodbye to its peers when it went in.
addEventListener("pageshow", (event) => {
	if (event.persisted) location.reload();
});
