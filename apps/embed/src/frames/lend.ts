import "@tabmesh/elements/lend";
import { canSee, guardClicks } from "./clickGuard.ts";
import { ownWindow, panelFrame } from "./panelFrame.ts";
import { refusalNotice } from "./refusalNotice.ts";

/** While this device computes, or is about to, every button is for less of it. */
const computing = ["connecting", "joining", "waiting", "loading", "serving"];

const page = await panelFrame("lend", "scheme");
const element = document.querySelector("tabmesh-lend")!;
const { capability } = page.hello;
element.lendHref = ownWindow("/lend", capability);
// They take more of the device with a click that no button guards.
element.preferencesHref = element.lendHref;
element.connect = async (signal) => {
	// Nothing of the network is even downloaded before.
	const { connect } = await import("@tabmesh/client");
	return connect({ signal, ...(capability === undefined ? {} : { capability }) });
};
element.addEventListener("tabmesh-phase", ({ detail }) =>
	page.tell({ type: "phase", phase: detail.phase ?? "connecting" }),
);
const refused = refusalNotice(page);
guardClicks(element, () => !computing.includes(element.phase ?? ""), refused);
if (!canSee()) {
	element.hidden = true;
	refused("unsure");
}
page.tell({ type: "connected" });
