import type { TabmeshError } from "@tabmesh/wire";
import type { ReactiveController, ReactiveControllerHost } from "lit";
import { english } from "./messages.en.ts";

/** Any text where English has one, any function of the same arguments where English has one of those. */
type Translation<T> = T extends string
	? string
	: T extends (...values: infer Values) => infer Said
		? (...values: Values) => Translation<Said>
		: T extends readonly string[]
			? readonly string[]
			: { readonly [Key in keyof T]: Translation<T[Key]> };

/** An error in words: what happened, and what to do now. */
interface Told {
	readonly what: string;
	readonly steps: readonly string[];
}

/** Every text of the elements in one language. */
export type Messages = Translation<typeof english> & {
	/** What Tabmesh's errors say, by their codes, where the language has words for it; English errors speak for themselves. */
	readonly errors?: Readonly<Record<string, Told | ((details: TabmeshError["details"]) => Told)>>;
};

/** The languages that the elements speak, by their own names. */
export const languages = { en: "English", de: "Deutsch" } as const;
export type Language = keyof typeof languages;

/** The texts now: read them where they are drawn, never before. */
export let messages: Messages = english;
/** For numbers and dates. */
export let language: Language = "en";

const speaking = new Set<ReactiveControllerHost>();
let watching = false;

/** The language of a tag like `de-AT`, if the elements speak it. */
export function spokenLanguage(tag: string): Language | undefined {
	const primary = tag.toLowerCase().split("-", 1)[0]!;
	return Object.hasOwn(languages, primary) ? (primary as Language) : undefined;
}

/** Draws an element anew whenever the page's language (`<html lang>`) becomes another that the elements speak. */
export function followLanguage(host: ReactiveControllerHost): ReactiveController {
	return {
		hostConnected() {
			speaking.add(host);
			if (watching) return;
			watching = true;
			const follow = (): void => void speak(spokenLanguage(document.documentElement.lang) ?? "en");
			new MutationObserver(follow).observe(document.documentElement, { attributeFilter: ["lang"] });
			follow();
		},
		hostDisconnected() {
			speaking.delete(host);
		},
	};
}

/** Speaks a language from now on. Its texts are fetched when first needed; where they do not come, nothing changes. */
async function speak(next: Language): Promise<void> {
	if (next === language) return;
	const texts = next === "en" ? english : await germanTexts();
	if (texts === undefined || (spokenLanguage(document.documentElement.lang) ?? "en") !== next) return;
	messages = texts;
	language = next;
	for (const host of speaking) host.requestUpdate();
}

const germanTexts = (): Promise<Messages | undefined> =>
	import("./messages.de.ts").then(
		({ german }) => german,
		() => undefined,
	);
