import { css, html, LitElement } from "lit";
import { define } from "../define.ts";
import { controls, theme } from "../theme.ts";
import { type Language, languages, spokenLanguage } from "./language.ts";

const kept = "tabmesh-language";

/** The words of a page that are in its HTML, in English, marked with `data-text`, or with `data-label` where they are its label: what they were is what they are looked up by. */
const english = new WeakMap<Element, string>();

/** What the visitor chose here once, else the first of the browser's languages that is spoken here. */
function preferred(): Language {
	let chosen: string | null = null;
	try {
		chosen = localStorage.getItem(kept);
	} catch {
		// A browser that keeps nothing: the visitor's languages decide.
	}
	for (const tag of [chosen ?? "", ...navigator.languages]) {
		const language = spokenLanguage(tag);
		if (language !== undefined) return language;
	}
	return "en";
}

/** Makes a page speak: its elements by `<html lang>`, its own words by what is marked with `data-text`. */
async function speak(language: Language): Promise<void> {
	document.documentElement.lang = language;
	const pages = language === "en" ? {} : await germanPages();
	if (document.documentElement.lang !== language) return;
	for (const element of document.querySelectorAll("[data-text]")) {
		const original = english.get(element) ?? element.textContent.replace(/\s+/g, " ").trim();
		english.set(element, original);
		const text = pages[original] ?? original;
		if (element.textContent !== text) element.textContent = text;
	}
	for (const element of document.querySelectorAll("[data-label]")) {
		const original = english.get(element) ?? element.ariaLabel ?? "";
		english.set(element, original);
		element.ariaLabel = pages[original] ?? original;
	}
	dispatchEvent(new CustomEvent("tabmesh-language", { detail: { language } }));
}

const germanPages = (): Promise<Readonly<Record<string, string>>> =>
	import("./pages.de.ts").then(
		({ pages }) => pages,
		() => ({}),
	);

// Before the page's other elements are drawn for the first time.
void speak(preferred());

/**
 * Lets the visitor of one of Tabmesh's own pages choose its language. Dapps say theirs in `<html lang>`, which all
 * elements follow.
 *
 * @fires tabmesh-language - on `window`, when the page's own words have changed
 */
export class TabmeshLanguage extends LitElement {
	static override styles = [
		theme,
		controls,
		css`
			ul {
				display: flex;
				gap: 0.25rem;
				margin-inline: -0.75rem;
			}
			button {
				min-height: 2.75rem;
				padding-inline: 0.75rem;
				border-color: transparent;
				background: none;
				color: var(--_muted);
				font-size: 0.875rem;
				font-weight: 400;
			}
			button[aria-pressed="true"] {
				color: var(--_ink);
				text-decoration: underline;
				text-underline-offset: 0.3em;
			}
		`,
	];

	protected override render() {
		const now = spokenLanguage(document.documentElement.lang) ?? "en";
		return html`
			<ul>
				${Object.entries(languages).map(
					([tag, name]) => html`
						<li>
							<button
								type="button"
								lang=${tag}
								aria-pressed=${tag === now ? "true" : "false"}
								@click=${() => this.#choose(tag as Language)}
							>
								${name}
							</button>
						</li>
					`,
				)}
			</ul>
		`;
	}

	#choose(language: Language): void {
		try {
			localStorage.setItem(kept, language);
		} catch {
			// Then it holds until the page is left.
		}
		void speak(language);
		this.requestUpdate();
	}
}

define("tabmesh-language", TabmeshLanguage);
