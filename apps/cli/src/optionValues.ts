import { InvalidParameterError, limits } from "@tabmesh/wire";

/** What a site's description holds (`siteSchema`). */
const longestUrl = 1024;

function refusal(option: string, wanted: string, text: string): InvalidParameterError {
	return new InvalidParameterError(`${option} takes ${wanted}, not "${text.slice(0, 64)}".`, {
		details: { option },
	});
}

/**
 * A whole number from `least` to `most`.
 *
 * @throws InvalidParameterError
 */
export function parseCount(text: string, option: string, least: number, most: number): number {
	const count = Number(text);
	if (!/^\d{1,16}$/.test(text) || count < least || count > most) {
		throw refusal(option, `a whole number from ${least} to ${most}`, text);
	}
	return count;
}

/**
 * A number from `least` to `most`, `0.7` for example.
 *
 * @throws InvalidParameterError
 */
export function parseNumber(text: string, option: string, least: number, most: number): number {
	const value = Number(text);
	if (!/^\d{0,9}(\.\d{1,9})?$/.test(text) || text === "" || value < least || value > most) {
		throw refusal(option, `a number from ${least} to ${most}`, text);
	}
	return value;
}

const unitBytes: Readonly<Record<string, number>> = {
	"": 1,
	b: 1,
	k: 1e3,
	kb: 1e3,
	m: 1e6,
	mb: 1e6,
	g: 1e9,
	gb: 1e9,
	t: 1e12,
	tb: 1e12,
	ki: 2 ** 10,
	kib: 2 ** 10,
	mi: 2 ** 20,
	mib: 2 ** 20,
	gi: 2 ** 30,
	gib: 2 ** 30,
	ti: 2 ** 40,
	tib: 2 ** 40,
};

/**
 * Bytes from a size as people write it: `500MB`, `1.5 GiB`, `2g`, `1048576`. Units with an *i* are powers of 1024
 * (IEC 80000-13), the others powers of 1000.
 *
 * @throws InvalidParameterError when it is no size, below 1 MB, or more than a number can hold exactly
 */
export function parseSize(text: string, option: string): number {
	const match = /^(\d{1,12}(?:\.\d{1,6})?)\s*([a-z]{0,3})$/i.exec(text.trim());
	const unit = match ? unitBytes[match[2]!.toLowerCase()] : undefined;
	const bytes = match && unit !== undefined ? Math.floor(Number(match[1]) * unit) : Number.NaN;
	if (!Number.isSafeInteger(bytes) || bytes < 1e6) {
		throw refusal(option, "a size of at least 1MB, such as 500MB or 1.5GiB,", text);
	}
	return bytes;
}

/** `bytes` as people read it: `60.8 MB`. */
export function formatSize(bytes: number): string {
	for (const [unit, size] of [
		["GB", 1e9],
		["MB", 1e6],
		["kB", 1e3],
	] as const) {
		if (bytes >= size) return `${(bytes / size).toFixed(bytes >= 100 * size ? 0 : 1)} ${unit}`;
	}
	return `${bytes} B`;
}

/**
 * Token ids from `1,2,3`.
 *
 * @throws InvalidParameterError
 */
export function parseTokens(text: string, option: string): number[] {
	const tokens = text.split(",").map((part) => part.trim());
	if (tokens.length > limits.contextTokens || !tokens.every((token) => /^\d{1,7}$/.test(token))) {
		throw refusal(option, "token ids separated by commas, such as 1,9038,2501,", text);
	}
	return tokens.map((token) => {
		const id = Number(token);
		if (id >= limits.vocabulary) throw refusal(option, `token ids below ${limits.vocabulary}`, token);
		return id;
	});
}

/**
 * The address of a relay's site: `http://localhost:8787`. A bare `localhost:8787` is taken as http on this machine and
 * as https elsewhere.
 *
 * @throws InvalidParameterError
 */
export function parseRelayUrl(text: string, option: string): string {
	const local = /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])(:|\/|$)/.test(text);
	const full = /^[a-z]+:\/\//i.test(text) ? text : `${local ? "http" : "https"}://${text}`;
	const url = URL.canParse(full) ? new URL(full) : undefined;
	if (text.startsWith("/") || url === undefined || !/^https?:$/.test(url.protocol) || url.username !== "") {
		throw refusal(option, "the address of a relay, such as http://localhost:8787,", text);
	}
	return url.origin;
}

/**
 * The address of a hub, with the folder that it lies in, where it lies in one.
 *
 * @throws InvalidParameterError
 */
export function parseHubUrl(text: string, option: string): string {
	const url = URL.canParse(text) ? new URL(text) : undefined;
	if (url === undefined || !/^https?:$/.test(url.protocol) || url.username !== "") {
		throw refusal(option, "the address of a hub, such as https://huggingface.co/,", text);
	}
	url.search = "";
	url.hash = "";
	if (!url.pathname.endsWith("/")) url.pathname += "/";
	return url.href;
}

/**
 * The address of a chain's node. A name as DNS and IP have it: it goes into the pages' Content-Security-Policy.
 *
 * @throws InvalidParameterError
 */
export function parseRpcUrl(text: string, option: string): string {
	const url = URL.canParse(text) ? new URL(text) : undefined;
	if (
		url === undefined ||
		!/^https?:$/.test(url.protocol) ||
		!/^([a-z0-9.-]+|\[[0-9a-f:.]+\])$/.test(url.hostname) ||
		url.username + url.password !== "" ||
		url.href.length > longestUrl
	) {
		throw refusal(option, "the address of a chain's node, such as https://mainnet.base.org,", text);
	}
	return url.href;
}

/**
 * A room id: letters, digits, `.`, `_` and `-`.
 *
 * @throws InvalidParameterError
 */
export function parseRoom(text: string, option: string): string {
	if (!/^[A-Za-z0-9._-]+$/.test(text) || text.length > limits.roomIdLength) {
		throw refusal(
			option,
			`a room name of at most ${limits.roomIdLength} letters, digits, ".", "_" or "-",`,
			text,
		);
	}
	return text;
}

/** One STUN or TURN server, as `RTCIceServer` has it. */
export interface IceServer {
	urls: string;
	username?: string;
	credential?: string;
}

/**
 * A STUN or TURN server: `stun:host:3478`, or `turn:user:password@host:3478?transport=udp` (the URI of RFC 7065 with
 * the credentials in front of the host, percent-encoded where they hold `:` or `@`).
 *
 * @throws InvalidParameterError
 */
export function parseIceServer(text: string, option: string): IceServer {
	const match = /^(stuns?|turns?):(?:([^:@\s]+):([^:@\s]+)@)?([^@\s/]{1,512})$/.exec(text);
	const [, scheme, user, password, rest] = match ?? [];
	const turn = scheme?.startsWith("turn");
	if (!match || turn !== (user !== undefined)) {
		throw refusal(option, "stun:host:port or turn:user:password@host:port", text.replace(/:[^:@]*@/, ":…@"));
	}
	if (user === undefined || password === undefined) return { urls: `${scheme}:${rest}` };
	return {
		urls: `${scheme}:${rest}`,
		username: decodeURIComponent(user),
		credential: decodeURIComponent(password),
	};
}

/**
 * The origin of a page, such as `https://app.example.org`, or `*` for all of them.
 *
 * @throws InvalidParameterError
 */
export function parseOrigin(text: string, option: string): string {
	if (text === "*") return text;
	const url = URL.canParse(text) ? new URL(text) : undefined;
	if (url === undefined || !/^https?:$/.test(url.protocol) || url.href !== `${url.origin}/`) {
		throw refusal(option, "the origin of a page, such as https://app.example.org,", text);
	}
	return url.origin;
}
