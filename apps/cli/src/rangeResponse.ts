/** Something that is served by byte ranges and never changes under its address. */
export interface RangedContent {
	readonly bytes: number;
	/** Without its quotation marks. */
	readonly etag: string;
	readonly contentType: string;
	/** Exactly `length` bytes from `offset`. */
	read(offset: number, length: number, signal: AbortSignal): Promise<Uint8Array<ArrayBuffer>>;
}

/** One read of a file; large enough for a disk, small enough that a hundred answers at once stay under 100 MB. */
const pieceBytes = 512 * 1024;

/** `undefined`: the whole; `null`: no such range. One range only; several are answered with the whole (RFC 9110 §14.2 allows it). */
export function parseRange(
	header: string | null,
	bytes: number,
): { offset: number; length: number } | null | undefined {
	const match = /^bytes=(\d{0,15})-(\d{0,15})$/.exec(header?.trim() ?? "");
	if (!match || (match[1] === "" && match[2] === "")) return undefined;
	if (match[1] === "") {
		const length = Math.min(Number(match[2]), bytes);
		return length === 0 ? null : { offset: bytes - length, length };
	}
	const offset = Number(match[1]);
	const last = match[2] === "" ? bytes - 1 : Math.min(Number(match[2]), bytes - 1);
	if (match[2] !== "" && Number(match[2]) < offset) return undefined;
	return offset >= bytes ? null : { offset, length: last - offset + 1 };
}

/**
 * The answer to a GET or HEAD for `content`: whole, a range (206), none (416) or nothing new (304), as RFC 9110 §13 and
 * §14 have it. The body is read piece by piece as the client takes it.
 */
export function rangeResponse(request: Request, content: RangedContent): Response {
	if (request.method !== "GET" && request.method !== "HEAD") {
		return new Response(null, {
			status: request.method === "OPTIONS" ? 204 : 405,
			headers: { Allow: "GET, HEAD" },
		});
	}
	const etag = `"${content.etag}"`;
	const headers = new Headers({
		"Accept-Ranges": "bytes",
		"Cache-Control": "public, max-age=31536000, immutable",
		"Content-Type": content.contentType,
		ETag: etag,
	});
	const known = request.headers.get("if-none-match");
	if (known?.split(",").some((tag) => [etag, `W/${etag}`, "*"].includes(tag.trim()))) {
		return new Response(null, { status: 304, headers });
	}
	const condition = request.headers.get("if-range");
	const ranged = condition === null || condition === etag;
	const range = ranged ? parseRange(request.headers.get("range"), content.bytes) : undefined;
	if (range === null) {
		headers.set("Content-Range", `bytes */${content.bytes}`);
		return new Response(null, { status: 416, headers });
	}
	const { offset, length } = range ?? { offset: 0, length: content.bytes };
	headers.set("Content-Length", String(length));
	if (range) headers.set("Content-Range", `bytes ${offset}-${offset + length - 1}/${content.bytes}`);
	const status = range ? 206 : 200;
	if (request.method === "HEAD") return new Response(null, { status, headers });

	const cancelled = new AbortController();
	let at = offset;
	const end = offset + length;
	const body = new ReadableStream<Uint8Array<ArrayBuffer>>(
		{
			async pull(controller) {
				const piece = await content.read(at, Math.min(pieceBytes, end - at), cancelled.signal);
				at += piece.byteLength;
				controller.enqueue(piece);
				if (at >= end) controller.close();
			},
			cancel: () => cancelled.abort(),
		},
		{ highWaterMark: 1 },
	);
	return new Response(length === 0 ? null : body, { status, headers });
}
