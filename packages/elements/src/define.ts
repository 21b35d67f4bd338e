import type { LitElement } from "lit";
import { followLanguage } from "./language/language.ts";

/**
 * Registers an element once, and lets it follow the page's language. A page that loads two builds of Tabmesh keeps the
 * first instead of failing: `customElements.define` throws on a name that is taken.
 */
export function define(name: string, element: typeof LitElement): void {
	if (customElements.get(name) !== undefined) return;
	element.addInitializer((instance) => instance.addController(followLanguage(instance)));
	customElements.define(name, element);
}
