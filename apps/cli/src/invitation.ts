import { open } from "node:fs/promises";
import { InvalidParameterError, limits } from "@tabmesh/wire";

/** A capability in base64url, and a line's end behind it. */
const longestFile = 2 * limits.capabilityBytes;

/**
 * The invitation that was given: the word itself, the link that it came in, or a file that holds it.
 *
 * @throws InvalidParameterError when it is neither
 */
export async function readInvitation(given: string): Promise<string> {
	const word = wordIn(given);
	if (word !== undefined) return word;
	let cause: unknown;
	try {
		await using file = await open(given, "r");
		const { buffer, bytesRead } = await file.read(Buffer.alloc(longestFile + 1), 0, longestFile + 1, 0);
		const kept = bytesRead <= longestFile ? wordIn(buffer.toString("utf8", 0, bytesRead)) : undefined;
		if (kept !== undefined) return kept;
	} catch (error) {
		cause = error;
	}
	throw noInvitation(given, cause);
}

/** Alone or behind the `#` of a link. Nobody calls a file by 200 letters without a dot. */
function wordIn(text: string): string | undefined {
	const word = text.slice(text.indexOf("#") + 1).trim();
	return /^[A-Za-z0-9_-]{200,}$/.test(word) ? word : undefined;
}

function noInvitation(given: string, cause?: unknown): InvalidParameterError {
	return new InvalidParameterError(
		`--capability takes an invitation or a file with one, not "${given.slice(0, 64)}".`,
		{ cause, metaMessages: ["The room's owner makes one: tabmesh room mint."] },
	);
}
