import { ModelSourceError } from "@tabmesh/wire";
import type { SourceFile } from "../format/sourceFile.ts";
import { piecesOf } from "./piecesOf.ts";
import { retryDelay, wait } from "./retryDelay.ts";

export interface HttpFileOptions {
	signal?: AbortSignal;
	/** Sent with every request, for example `{ authorization: "Bearer …" }`; fetch drops that when a redirect leads elsewhere. */
	headers?: Readonly<Record<string, string>>;
	/** How often one range is tried before giving up; what arrives in part counts as a new start. @default 5 */
	attempts?: number;
	/** The first pause between two tries, in milliseconds; it doubles. @default 500 */
	pauseMs?: number;
	/** After this long without a byte a connection is given up, in milliseconds. @default 30_000 */
	stallMs?: number;
}

/** What is read when a file is opened, and kept: the header of every safetensors file, and small files whole. */
const headBytes = 256 * 1024;
/** A server that ignores ranges may still hold files of this size: a hub sends a tokenizer.json of 9 MB in one piece. */
const wholeBytes = 64 * 1024 * 1024;
/** Busy, overloaded, or a gateway whose server went away: worth another try. */
const passing = new Set([408, 425, 429, 500, 502, 503, 504]);

/** What tells one version of a file from another. */
interface Version {
	readonly bytes: number;
	readonly etag: string | null;
	readonly modified: string | null;
}

/**
 * A file behind an HTTP URL, of which only the ranges that are asked for are fetched.
 *
 * Redirects are followed. What fails in passing (429, 5xx, a lost connection, half a range) is tried again after a pause, as
 * long as `Retry-After` says, and goes on where it stopped. Between two ranges the file must stay the same: its length, and its
 * ETag or, without one, its date are compared on every answer. (An If-Range header would do as much, but a browser may not send
 * it to another origin without asking first, and many file servers refuse that.)
 *
 * @throws ModelSourceError whose `details.reason` is `unreachable`, `status`, `page`, `ranges`, `changed` or `cut`
 * @see RFC 9110 §14
 */
export async function openHttpFile(url: string | URL, options: HttpFileOptions = {}): Promise<SourceFile> {
	return new HttpFile(parseUrl(url), options).open(options.signal);
}

class HttpFile implements SourceFile {
	readonly name: string;
	bytes = 0;
	readonly #url: URL;
	readonly #headers: Readonly<Record<string, string>>;
	readonly #attempts: number;
	readonly #pauseMs: number;
	readonly #stallMs: number;
	#version: Version | undefined;
	#head = new Uint8Array(0);

	constructor(url: URL, options: HttpFileOptions) {
		this.#url = url;
		this.name = fileName(url);
		this.#headers = options.headers ?? {};
		this.#attempts = options.attempts ?? 5;
		this.#pauseMs = options.pauseMs ?? 500;
		this.#stallMs = options.stallMs ?? 30_000;
	}

	async open(signal: AbortSignal | undefined): Promise<this> {
		const head = await this.#fetchRange(0, headBytes, signal);
		// A file that came whole is kept whole already.
		if (this.#head.byteLength === 0) this.#head = head;
		this.bytes = this.#version!.bytes;
		return this;
	}

	async read(offset: number, length: number, signal?: AbortSignal): Promise<Uint8Array<ArrayBuffer>> {
		if (offset + length > this.bytes) {
			throw new ModelSourceError(
				`${this.#shown} has ${this.bytes} bytes; byte ${offset + length} was asked for.`,
			);
		}
		if (length === 0) return new Uint8Array(0);
		if (offset + length <= this.#head.byteLength) return this.#head.slice(offset, offset + length);
		return this.#fetchRange(offset, length, signal);
	}

	/** The URL without what may be secret in it. */
	get #shown(): string {
		return `${this.#url.origin}${this.#url.pathname}`;
	}

	/** Up to `length` bytes from `offset`: fewer only while the length of the file is not known yet. */
	async #fetchRange(
		offset: number,
		length: number,
		signal: AbortSignal | undefined,
	): Promise<Uint8Array<ArrayBuffer>> {
		const range: Range = { offset, bytes: new Uint8Array(length), filled: 0, wanted: length };
		for (let failures = 0; ; ) {
			signal?.throwIfAborted();
			const before = range.filled;
			const failure = await this.#tryRange(range, signal);
			if (!failure) return range.wanted === length ? range.bytes : range.bytes.slice(0, range.wanted);
			failures = range.filled > before ? 1 : failures + 1;
			const delay = retryDelay(failures, this.#pauseMs, failure.retryAfter);
			if (failures >= this.#attempts || delay === undefined) throw failure.error;
			await wait(delay, signal);
		}
	}

	/** One request for what is still missing of a range. Returns what may pass by itself, throws what will not. */
	async #tryRange(range: Range, signal: AbortSignal | undefined): Promise<Failure | undefined> {
		const stalled = new AbortController();
		let timer = setTimeout(() => stalled.abort(), this.#stallMs);
		const alive = (): void => {
			clearTimeout(timer);
			timer = setTimeout(() => stalled.abort(), this.#stallMs);
		};
		const first = range.offset + range.filled;
		const last = range.offset + range.wanted - 1;
		let response: Response | undefined;
		try {
			response = await fetch(this.#url, {
				headers: { ...this.#headers, range: `bytes=${first}-${last}` },
				signal: signal ? AbortSignal.any([signal, stalled.signal]) : stalled.signal,
				// A cache would keep gigabytes twice, and might mix two versions of a file.
				cache: "no-store",
				credentials: "omit",
				referrerPolicy: "no-referrer",
			});
			const failure = this.#checkStatus(response);
			if (failure) return failure;
			if (this.#isEmptyFile(response)) {
				this.#keepVersion(response, 0);
				range.wanted = 0;
				return undefined;
			}
			if (response.status === 200) return await this.#takeWhole(range, response, alive);
			this.#checkRange(range, first, response);
			for await (const piece of piecesOf(response)) {
				alive();
				if (range.filled + piece.byteLength > range.wanted)
					throw this.#wrongRange("more bytes than were asked for");
				range.bytes.set(piece, range.filled);
				range.filled += piece.byteLength;
			}
			if (range.filled === range.wanted) return undefined;
			return {
				error: this.#error(
					"cut",
					`${this.#shown} broke off after ${range.filled} of ${range.wanted} bytes.`,
					tryLater,
				),
			};
		} catch (cause) {
			if (cause instanceof ModelSourceError) throw cause;
			signal?.throwIfAborted();
			if (stalled.signal.aborted) {
				return {
					error: this.#error(
						"unreachable",
						`${this.#shown} sent nothing for ${this.#stallMs} ms.`,
						tryLater,
						cause,
					),
				};
			}
			if (response) {
				return {
					error: this.#error(
						"cut",
						`${this.#shown} broke off after ${range.filled} of ${range.wanted} bytes.`,
						tryLater,
						cause,
					),
				};
			}
			return {
				error: this.#error(
					"unreachable",
					`${this.#shown} could not be reached.`,
					[
						"Check the address and the connection.",
						"A browser also needs the server to allow other origins (CORS).",
					],
					cause,
				),
			};
		} finally {
			clearTimeout(timer);
			// Ends the transfer of an answer that was not read to its end.
			stalled.abort();
		}
	}

	/** Throws for an answer that is no part of a file and will not become one; returns one that may. */
	#checkStatus(response: Response): Failure | undefined {
		const { status } = response;
		if (this.#url.protocol === "https:" && response.url.startsWith("http:")) {
			throw this.#error("unreachable", `${this.#shown} redirects to an address without encryption.`, []);
		}
		if (status === 416 && this.#isEmptyFile(response)) return undefined;
		if (status === 206 || status === 200) {
			if (!response.headers.get("content-type")?.startsWith("text/html")) return undefined;
			throw this.#error("page", `${this.#shown} answers with a web page instead of a file.`, [
				"Use the address of the file itself: on a model hub it has /resolve/ in it where the page has /blob/.",
			]);
		}
		const error = this.#error(
			"status",
			`${this.#shown} answers ${status} ${response.statusText}`.trimEnd().concat("."),
			adviceFor(status),
			undefined,
			{
				status,
			},
		);
		if (status === 416 && this.#version) throw this.#changed("it has become shorter");
		if (!passing.has(status)) throw error;
		return { error, retryAfter: response.headers.get("retry-after") };
	}

	#isEmptyFile(response: Response): boolean {
		return response.status === 416 && !this.#version && response.headers.get("content-range") === "bytes */0";
	}

	/** That a 206 carries the bytes that were asked for, of the version that was opened. */
	#checkRange(range: Range, first: number, response: Response): void {
		if (response.headers.has("content-encoding") && response.headers.get("content-encoding") !== "identity") {
			throw this.#wrongRange("compressed bytes");
		}
		const match = /^bytes (\d+)-(\d+)\/(\d+)$/.exec(response.headers.get("content-range") ?? "");
		if (!match) {
			throw this.#error("ranges", `${this.#shown} does not say which bytes it sends.`, [
				"It has to send Content-Range, and to show it to other origins: Access-Control-Expose-Headers: Content-Range, ETag.",
			]);
		}
		const [start, end, bytes] = match.slice(1).map(Number) as [number, number, number];
		this.#keepVersion(response, bytes);
		range.wanted = Math.min(range.wanted, bytes - range.offset);
		// A server may send less than was asked for; the next try goes on behind it.
		if (start !== first || end < start || end > range.offset + range.wanted - 1) {
			throw this.#wrongRange(
				`bytes ${start} to ${end} where ${first} to ${range.offset + range.wanted - 1} were asked for`,
			);
		}
	}

	/** A 200: the server ignores ranges, which is well for a file that memory can hold. */
	async #takeWhole(range: Range, response: Response, alive: () => void): Promise<undefined> {
		const noRanges = () =>
			this.#error(
				"ranges",
				`${this.#shown} cannot be read in parts: its server answers a range with the whole file.`,
				["Put the file on a server that supports range requests, or download it and give its path."],
			);
		if (Number(response.headers.get("content-length") ?? 0) > wholeBytes) throw noRanges();
		const pieces: Uint8Array[] = [];
		let bytes = 0;
		for await (const piece of piecesOf(response)) {
			alive();
			bytes += piece.byteLength;
			if (bytes > wholeBytes) throw noRanges();
			pieces.push(piece);
		}
		this.#keepVersion(response, bytes);
		const whole = new Uint8Array(bytes);
		let at = 0;
		for (const piece of pieces) {
			whole.set(piece, at);
			at += piece.byteLength;
		}
		this.#head = whole;
		range.wanted = Math.min(range.wanted, bytes - range.offset);
		range.bytes.set(whole.subarray(range.offset, range.offset + range.wanted));
		range.filled = range.wanted;
	}

	#keepVersion(response: Response, bytes: number): void {
		const version: Version = {
			bytes,
			// Weak or strong: compression on the way is excluded, so either names the same bytes.
			etag: response.headers.get("etag")?.replace(/^W\//, "") ?? null,
			modified: response.headers.get("last-modified"),
		};
		const opened = this.#version;
		if (opened) {
			if (opened.bytes !== bytes) throw this.#changed(`its length went from ${opened.bytes} to ${bytes}`);
			if (opened.etag !== version.etag) throw this.#changed("its ETag is another");
			if (opened.etag === null && opened.modified !== version.modified)
				throw this.#changed("its date is another");
		}
		this.#version ??= version;
	}

	#changed(how: string): ModelSourceError {
		return this.#error("changed", `${this.#shown} has changed while it was read: ${how}.`, [
			"Start again with the new file.",
		]);
	}

	#wrongRange(what: string): ModelSourceError {
		return this.#error("ranges", `${this.#shown} does not keep to ranges: it sent ${what}.`, [
			"Download the file and give its path.",
		]);
	}

	#error(
		reason: "unreachable" | "status" | "page" | "ranges" | "changed" | "cut",
		shortMessage: string,
		metaMessages: string[],
		cause?: unknown,
		details: Record<string, number> = {},
	): ModelSourceError {
		return new ModelSourceError(shortMessage, {
			metaMessages,
			details: { reason, ...details },
			...(cause === undefined ? {} : { cause }),
		});
	}
}

/** A range on its way. */
interface Range {
	readonly offset: number;
	readonly bytes: Uint8Array<ArrayBuffer>;
	/** Bytes that are here. */
	filled: number;
	/** Bytes that there are to have; shrinks to the length of the file when that becomes known. */
	wanted: number;
}

/** What went wrong in passing, and how long the server asks to be left alone. */
interface Failure {
	readonly error: ModelSourceError;
	readonly retryAfter?: string | null;
}

const tryLater = ["Try again later: what has been read so far is kept by whoever publishes or loads."];

function adviceFor(status: number): string[] {
	switch (status) {
		case 401:
		case 403:
			return ["The file is not public: accept its licence on the hub, or give a token that may read it."];
		case 404:
		case 410:
			return ["Check the address, the revision and the name of the file."];
		case 429:
			return ["The server wants fewer requests: wait, or give a token."];
		default:
			return passing.has(status) ? ["The server is in trouble: try again later."] : [];
	}
}

function parseUrl(url: string | URL): URL {
	const parsed = typeof url === "string" ? URL.parse(url) : url;
	if (parsed && (parsed.protocol === "http:" || parsed.protocol === "https:")) return parsed;
	throw new ModelSourceError(`${String(url).slice(0, 128)} is no HTTP address.`, {
		details: { reason: "unreachable" },
	});
}

function fileName(url: URL): string {
	const last = url.pathname.split("/").at(-1) ?? "";
	try {
		return decodeURIComponent(last);
	} catch {
		return last;
	}
}
