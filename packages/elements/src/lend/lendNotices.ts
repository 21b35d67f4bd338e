import type { StorageView, Tabmesh } from "@tabmesh/client";
import { css, html, LitElement, nothing, type PropertyValues } from "lit";
import { define } from "../define.ts";
import { formatBytes, formatDate } from "../format.ts";
import { messages } from "../language/language.ts";
import { dueNotices, type NoticeFacts, type NoticeName, quietMs } from "./dueNotices.ts";
import "../notice.ts";
import { controls, theme } from "../theme.ts";

const readKey = "tabmesh-notices-read";

/**
 * What a volunteer is to be told in time, two things at most; what was read is not said again soon.
 */
export class TabmeshLendNotices extends LitElement {
	static override properties = {
		tabmesh: { attribute: false },
		storage: { attribute: false },
		lends: { type: Boolean },
		storageHref: { type: String, attribute: "storage-href" },
	};
	static override styles = [
		theme,
		controls,
		css`
			.all {
				display: grid;
				gap: 0.75rem;
			}
			.row {
				margin-top: 0.5rem;
			}
		`,
	];
	declare tabmesh: Tabmesh | undefined;
	declare storage: StorageView | undefined;
	/** Whether this tab lends now. */
	declare lends: boolean;
	/** Address of the storage page; empty where there is none. */
	declare storageHref: string;

	#read: Partial<Record<NoticeName, number>> = readKept();

	constructor() {
		super();
		this.tabmesh = undefined;
		this.storage = undefined;
		this.lends = false;
		this.storageHref = "";
	}

	override connectedCallback(): void {
		super.connectedCallback();
		this.tabmesh?.wallet.addEventListener("change", this.#onChange);
	}

	override disconnectedCallback(): void {
		super.disconnectedCallback();
		this.tabmesh?.wallet.removeEventListener("change", this.#onChange);
	}

	protected override willUpdate(changed: PropertyValues<this>): void {
		if (!changed.has("tabmesh")) return;
		changed.get("tabmesh")?.wallet.removeEventListener("change", this.#onChange);
		this.tabmesh?.wallet.addEventListener("change", this.#onChange);
	}

	readonly #onChange = (): void => this.requestUpdate();

	get #facts(): NoticeFacts {
		const { originBytes, quotaBytes } = this.storage ?? {};
		const known = originBytes !== undefined && quotaBytes !== undefined;
		return {
			freeBytes: known ? Math.max(0, quotaBytes - originBytes) : undefined,
			delegationEnds: this.tabmesh?.wallet.view.delegation?.expires,
			discarded: (document as Document & { wasDiscarded?: boolean }).wasDiscarded === true,
			phone: isPhone(),
			lends: this.lends,
		};
	}

	#dismiss(name: NoticeName): void {
		this.#read = { ...this.#read, [name]: Date.now() + quietMs[name] };
		try {
			localStorage.setItem(readKey, JSON.stringify(this.#read));
		} catch {
			// It is said again at the next visit.
		}
		this.requestUpdate();
	}

	#words(name: NoticeName, facts: NoticeFacts): { title: string; text: string; link: unknown } {
		const said = messages.notices[name];
		switch (name) {
			case "storageFull": {
				const { act, text, title } = messages.notices.storageFull;
				const link =
					this.storageHref === ""
						? nothing
						: html`<a href=${this.storageHref} target="_blank" rel="noopener">${act}</a>`;
				return { title, text: text(formatBytes(facts.freeBytes!)), link };
			}
			case "delegation": {
				const { text, title } = messages.notices.delegation;
				return { title, text: text(formatDate(facts.delegationEnds!)), link: nothing };
			}
			default:
				return { title: said.title, text: said.text as string, link: nothing };
		}
	}

	protected override updated(): void {
		// An empty box would leave a gap where it stands.
		this.hidden = this.renderRoot.querySelector("tabmesh-notice") === null;
	}

	protected override render() {
		const facts = this.#facts;
		const due = dueNotices(facts, this.#read, Date.now());
		return html`
			<div class="all" role="status">
				${due.map((name) => {
					const { title, text, link } = this.#words(name, facts);
					return html`
						<tabmesh-notice heading=${title} text=${text}>
							<div class="row">
								<button type="button" @click=${() => this.#dismiss(name)}>${messages.dismiss}</button>
								${link}
							</div>
						</tabmesh-notice>
					`;
				})}
			</div>
		`;
	}
}

/** Whether this is a device of the hand, as far as a browser tells without being asked for its name. */
function isPhone(): boolean {
	const { userAgentData } = navigator as Navigator & { userAgentData?: { mobile: boolean } };
	return userAgentData?.mobile ?? matchMedia("(pointer: coarse) and (max-device-width: 600px)").matches;
}

function readKept(): Partial<Record<NoticeName, number>> {
	try {
		const kept: unknown = JSON.parse(localStorage.getItem(readKey) ?? "{}");
		return typeof kept === "object" && kept !== null ? kept : {};
	} catch {
		return {};
	}
}

define("tabmesh-lend-notices", TabmeshLendNotices);
