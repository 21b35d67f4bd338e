import type { TabmeshNotice } from "@tabmesh/elements/notice";
import "@tabmesh/elements/notice";
import type { Refusal } from "./clickGuard.ts";
import { frameWords } from "./frameWords.ts";
import type { Page } from "./greetPage.ts";

/** Tells a person whose click did not count why, with the way that always works: a window of Tabmesh's own. */
export function refusalNotice({ origin }: Page): (refusal: Refusal) => void {
	const notice = document.querySelector<TabmeshNotice>("tabmesh-notice")!;
	return (refusal) => {
		[notice.heading, notice.text] = frameWords().refused[refusal](new URL(origin).host);
		notice.hidden = false;
		notice.scrollIntoView({ block: "nearest" });
	};
}
