import "@tabmesh/elements/chat";
import { guardClicks } from "./clickGuard.ts";
import { ownWindow, panelFrame } from "./panelFrame.ts";
import { refusalNotice } from "./refusalNotice.ts";

const page = await panelFrame("chat", "all");
const element = document.querySelector("tabmesh-chat")!;
const { capability } = page.hello;
element.lendHref = ownWindow("/lend", capability);
element.connect = async (signal) => {
	const { connect } = await import("@tabmesh/client");
	return connect({ signal, ...(capability === undefined ? {} : { capability }) });
};
element.addEventListener("tabmesh-answer", ({ detail }) =>
	page.tell({ type: "answer", status: detail.status }),
);
// Asking costs this device nothing; a switch by which it computes a part of the answer does.
guardClicks(element, (button) => button.role === "switch", refusalNotice(page));
page.tell({ type: "connected" });
