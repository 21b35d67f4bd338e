import { InvalidParameterError } from "@tabmesh/wire";
import { blockLimits } from "./blockLimits.ts";

// Names that Windows opens as devices, whatever folder they are in and whatever follows a dot.
const devices = /^(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])(\.|$)/i;

// Control characters, and the marks that turn the direction of text: "gpj.exe" can be made to look like "exe.jpg".
const unseen = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u;

/**
 * A name that is safe to show and to save under in any folder.
 *
 * @throws InvalidParameterError for paths, `..`, drive letters, devices, unseen characters, and what is empty or too long
 */
export function parseFileName(name: string): string {
	if (
		name.length === 0 ||
		name.length > blockLimits.nameLength ||
		/[/\\:*?"<>|]/.test(name) ||
		/^\.{1,2}$/.test(name) ||
		/[. ]$/.test(name) ||
		name.startsWith(" ") ||
		devices.test(name) ||
		unseen.test(name)
	) {
		throw new InvalidParameterError("A file's name must be one plain name without folders.", {
			metaMessages: ["Give the name alone, for example report.pdf."],
			details: { name: name.slice(0, 64) },
		});
	}
	return name;
}
