import { type Look, lookProperties, type ToPage } from "./frameMessages.ts";
import { createFrame, type Frame, openFrame, relayOrigin } from "./openFrame.ts";
import { panelWords } from "./panelWords.ts";

/** What every panel that is embedded looks like before its frame is there. Constructed, so that no style policy of a page forbids it. */
const css = `
:host {
	display: block;
	color-scheme: light dark;
	container-type: inline-size;
	--_paper: var(--tabmesh-paper, light-dark(#f4f6f1, #0f120e));
	--_ink: var(--tabmesh-ink, light-dark(#171c14, #e7ebe2));
	--_muted: var(--tabmesh-muted, light-dark(#596153, #9aa491));
	--_line: var(--tabmesh-line, light-dark(#dadfd3, #2c3327));
	--_accent: var(--tabmesh-accent, light-dark(#2d6c1c, #a6dd70));
	--_on-accent: var(--tabmesh-on-accent, light-dark(#ffffff, #101709));
	--_danger: var(--tabmesh-danger, light-dark(#9f2f1b, #ffa08a));
	color: var(--_ink);
	font: 400 1rem/1.55 var(--tabmesh-font, system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif);
}
:host([hidden]) { display: none; }
.box {
	height: 100%;
	overflow: hidden;
	border: 1px solid var(--_line);
	border-radius: var(--tabmesh-radius, 14px);
	background: var(--_paper);
}
.offer {
	display: grid;
	justify-items: start;
	gap: 0.9rem;
	padding: clamp(1.25rem, 5cqi, 2rem);
}
p { margin: 0; max-width: 34rem; text-wrap: pretty; overflow-wrap: anywhere; }
.small { color: var(--_muted); font-size: 0.875rem; }
.trouble { color: var(--_danger); }
button {
	min-height: 44px;
	padding: 0.5rem 1.3rem;
	border: 0;
	border-radius: 999px;
	background: var(--_accent);
	color: var(--_on-accent);
	font: inherit;
	font-weight: 600;
	cursor: pointer;
}
button:hover { background: color-mix(in oklab, var(--_accent) 86%, var(--_ink)); }
button:disabled { cursor: progress; }
button:focus-visible { outline: 2px solid var(--_accent); outline-offset: 3px; }
iframe { display: block; width: 100%; height: 100%; border: 0; }
.chat { height: var(--tabmesh-chat-height, 40rem); }
[hidden] { display: none; }
`;

/** A page that is rendered on a server has no elements: the module can be imported there all the same. */
const Base: typeof HTMLElement = globalThis.HTMLElement ?? class {};

/**
 * A panel of Tabmesh in anybody's page: an offer with a button, and after a click on it a frame of the relay's own origin. The page can
 * neither read nor press in there.
 *
 * @fires tabmesh-ready - the panel is there
 * @fires tabmesh-error - `detail`: why it is not
 * @csspart box - around everything
 * @csspart offer - what is shown before the click
 * @csspart start - the button
 * @csspart frame - the panel
 * @slot - what the offer says
 * @slot start - what the button says
 */
export abstract class FrameElement extends Base {
	static readonly observedAttributes = ["relay", "capability"];
	/** Where a script tag's script came from. */
	static relay: string | undefined;
	protected abstract readonly kind: "chat" | "lend";
	#iframe: HTMLIFrameElement | undefined;
	#frame: Frame | undefined;
	#ending: AbortController | undefined;

	connectedCallback(): void {
		if (!this.shadowRoot) this.#draw();
	}

	/** The frame goes with the element: whoever takes it out of the page ends what runs in it. */
	disconnectedCallback(): void {
		// Moved to another place in the page a frame is loaded anew, too.
		this.#close();
	}

	/** Another network: the offer stands again. */
	attributeChangedCallback(): void {
		if (this.#iframe) this.#close();
	}

	protected abstract hear(message: ToPage, iframe: HTMLIFrameElement): void;

	get #lang(): string {
		return this.closest<HTMLElement>("[lang]")?.lang ?? "";
	}

	#draw(): void {
		const words = panelWords(this.#lang);
		const root = this.attachShadow({ mode: "open" });
		const sheet = new CSSStyleSheet();
		sheet.replaceSync(css);
		root.adoptedStyleSheets = [sheet];
		const box = element("div", "box");
		const offer = element("div", "offer");
		const says = element("p");
		says.append(slot("", words[this.kind].offer));
		const button = element("button", "start");
		button.type = "button";
		button.append(slot("start", words[this.kind].start));
		button.addEventListener("click", ({ isTrusted }) => {
			if (isTrusted) void this.#start();
		});
		const from = element("p");
		from.className = "small";
		const host = URL.parse(this.#relay ?? "")?.host;
		from.textContent = host === undefined ? words.noRelay : words.from(host);
		const state = element("p");
		state.className = "small trouble";
		state.role = "alert";
		state.hidden = true;
		offer.append(says, button, from, state);
		box.append(offer);
		root.append(box);
	}

	get #relay(): string | undefined {
		return this.getAttribute("relay") ?? FrameElement.relay;
	}

	async #start(): Promise<void> {
		const root = this.shadowRoot!;
		const [box, offer, button, state] = [".box", ".offer", "button", ".trouble"].map(
			(selector) => root.querySelector<HTMLElement>(selector)!,
		) as [HTMLElement, HTMLElement, HTMLButtonElement, HTMLElement];
		if (this.#iframe) return;
		button.disabled = true;
		state.hidden = true;
		const ending = new AbortController();
		this.#ending = ending;
		try {
			const relay = relayOrigin(this.#relay ?? "");
			const capability = this.getAttribute("capability");
			const iframe = createFrame(relay, this.kind, panelWords(this.#lang)[this.kind].title);
			iframe.part.add("frame");
			iframe.className = this.kind;
			iframe.hidden = true;
			this.#iframe = iframe;
			this.#frame = await openFrame(iframe, () => box.append(iframe), {
				relay,
				hello: { lang: this.#lang, look: this.#look(), ...(capability === null ? {} : { capability }) },
				onMessage: (message) => {
					if (message.type !== "connected") return this.hear(message, iframe);
					offer.hidden = true;
					iframe.hidden = false;
					iframe.focus({ preventScroll: true });
					this.dispatchEvent(new Event("tabmesh-ready"));
				},
				signal: ending.signal,
			});
			matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.restyle(), {
				signal: ending.signal,
			});
		} catch (error) {
			if (ending.signal.aborted) return;
			this.#close();
			state.textContent = error instanceof Error ? error.message : String(error);
			state.hidden = false;
			this.dispatchEvent(new CustomEvent("tabmesh-error", { detail: error }));
		} finally {
			button.disabled = false;
		}
	}

	/** Shows the frame in the colours that the page has now. Called by the page where its own theme changes. */
	restyle(): void {
		this.#frame?.send({ type: "look", look: this.#look() });
	}

	#look(): Look {
		const style = getComputedStyle(this);
		const scheme = style.colorScheme;
		const properties: Look["properties"] = {};
		for (const name of lookProperties) {
			const value = style.getPropertyValue(`--tabmesh-${name}`).trim();
			if (value !== "") properties[name] = value;
		}
		return { scheme: scheme === "light" || scheme === "dark" ? scheme : "light dark", properties };
	}

	#close(): void {
		this.#ending?.abort();
		this.#frame?.close();
		this.#iframe?.remove();
		this.#frame = undefined;
		this.#iframe = undefined;
		const offer = this.shadowRoot?.querySelector<HTMLElement>(".offer");
		if (offer) offer.hidden = false;
	}
}

function element<K extends keyof HTMLElementTagNameMap>(name: K, part?: string): HTMLElementTagNameMap[K] {
	const made = document.createElement(name);
	if (part !== undefined) {
		made.className = part;
		made.part.add(part);
	}
	return made;
}

function slot(name: string, text: string): HTMLSlotElement {
	const made = document.createElement("slot");
	if (name !== "") made.name = name;
	made.textContent = text;
	return made;
}
