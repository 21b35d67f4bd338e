/** Longer ones are no addresses that a person follows. */
const longest = 2_000;

const protocols = new Set(["http:", "https:", "mailto:"]);

/** Where a link of a stranger's text leads, and how that is said. */
export interface SafeLink {
	readonly href: string;
	/** The host, in ASCII, so that a look-alike letter shows; of mail the address. */
	readonly target: string;
}

/**
 * A link that may be followed: absolute, and of the web or of mail. What else a text calls a link is only text.
 *
 * @returns undefined for every other one
 */
export function safeLink(address: string): SafeLink | undefined {
	if (address.length > longest) return undefined;
	let url: URL;
	try {
		url = new URL(address);
	} catch {
		return undefined;
	}
	if (!protocols.has(url.protocol)) return undefined;
	return { href: url.href, target: url.protocol === "mailto:" ? url.pathname : url.host };
}
