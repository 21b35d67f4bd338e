import { type Look, lookProperties } from "../frameMessages.ts";

/**
 * Looks as the page around wishes. The scheme for every panel; colours, fonts and corners for those that consent to nothing, because a
 * text in the colour of its ground would be read by nobody.
 */
export function wearLook({ scheme, properties }: Look, what: "scheme" | "all"): void {
	const { style } = document.documentElement;
	style.colorScheme = scheme;
	if (what === "scheme") return;
	for (const name of lookProperties) {
		const value = properties[name];
		if (value === undefined) style.removeProperty(`--tabmesh-${name}`);
		else style.setProperty(`--tabmesh-${name}`, value);
	}
}
