import * as v from "valibot";
import { toFrameSchema } from "../frameMessages.ts";
import { frameWords } from "./frameWords.ts";
import { greetPage, type Page } from "./greetPage.ts";
import { wearLook } from "./wearLook.ts";

/**
 * What the frames with a face have in common: they are greeted, speak and look as the page wishes, say whose they are and where they are
 * shown, and how tall they are.
 *
 * @param looks - what of its looks the page may choose
 */
export async function panelFrame(kind: "chat" | "lend", looks: "scheme" | "all"): Promise<Page> {
	const page = await greetPage(`/${kind}`);
	const { lang, look, capability } = page.hello;
	if (lang) document.documentElement.lang = lang;
	if (look) wearLook(look, looks);
	page.port.onmessage = ({ data }) => {
		const message = v.safeParse(toFrameSchema, data);
		if (message.success && message.output.type === "look") wearLook(message.output.look, looks);
	};
	const words = frameWords();
	document.querySelector("footer p")!.textContent = words.around[kind](new URL(page.origin).host);
	for (const link of document.querySelectorAll<HTMLAnchorElement>(".own-window")) {
		link.href = ownWindow(`/${kind}`, capability);
		link.textContent = words.ownWindow;
	}
	new ResizeObserver(() => {
		page.tell({ type: "height", height: Math.ceil(document.body.getBoundingClientRect().height) });
	}).observe(document.body);
	// A page that comes back out of the back/forward cache has said goodbye to its peers when it went in.
	addEventListener("pageshow", (event) => {
		if (event.persisted) location.reload();
	});
	return page;
}

/** Address of a page of Tabmesh, with the invitation behind its `#`: browsers never send that part to anybody. */
export function ownWindow(path: string, capability: string | undefined): string {
	return capability === undefined ? path : `${path}#${capability}`;
}
