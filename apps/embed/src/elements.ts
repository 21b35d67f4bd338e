import { FrameElement } from "./frameElement.ts";
import type { ToPage } from "./frameMessages.ts";

/**
 * Asks the swarm, as the page `/chat` of the relay does: the conversation stays in the frame. As tall as
 * `--tabmesh-chat-height` says.
 *
 * @fires tabmesh-answer - `detail.status`: `running`, `done`, `stopped` or `failed`
 */
export class TabmeshChatFrame extends FrameElement {
	protected readonly kind = "chat";

	protected hear(message: ToPage): void {
		if (message.type !== "answer") return;
		const { status } = message;
		this.dispatchEvent(
			new CustomEvent("tabmesh-answer", { detail: { status }, bubbles: true, composed: true }),
		);
	}
}

/**
 * Lends the visitor's device, when he presses *Join* in the frame; the page around can press nothing there. As tall as what it shows.
 *
 * @fires tabmesh-phase - `detail.phase`: `connecting`, `joining`, `waiting`, `loading`, `serving`, `paused`, `left` or `failed`
 */
export class TabmeshLendFrame extends FrameElement {
	protected readonly kind = "lend";

	protected hear(message: ToPage, iframe: HTMLIFrameElement): void {
		if (message.type === "height") iframe.style.height = `${message.height}px`;
		if (message.type !== "phase") return;
		const { phase } = message;
		this.dispatchEvent(
			new CustomEvent("tabmesh-phase", { detail: { phase }, bubbles: true, composed: true }),
		);
	}
}

/**
 * Registers `<tabmesh-chat>` and `<tabmesh-lend>`. A page that loads Tabmesh twice keeps the first.
 *
 * @param relay - where they reach the network, unless they have an attribute `relay`
 */
export function defineElements(relay?: string): void {
	FrameElement.relay ??= relay;
	if (!customElements.get("tabmesh-chat")) customElements.define("tabmesh-chat", TabmeshChatFrame);
	if (!customElements.get("tabmesh-lend")) customElements.define("tabmesh-lend", TabmeshLendFrame);
}
