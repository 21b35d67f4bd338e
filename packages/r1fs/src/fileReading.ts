import { InvalidParameterError, MalformedMessageError } from "@tabmesh/wire";
import { blockLimits } from "./blockLimits.ts";
import type { FileReading } from "./r1fs.ts";

/** A {@link FileReading} over bytes in order. */
export function createFileReading(
	cid: string,
	read: () => AsyncGenerator<Uint8Array>,
	size: () => Promise<number>,
): FileReading {
	async function gather(maxBytes: number): Promise<Uint8Array<ArrayBuffer>> {
		const pieces: Uint8Array[] = [];
		let bytes = 0;
		for await (const piece of read()) {
			bytes += piece.byteLength;
			if (bytes > maxBytes) {
				throw new InvalidParameterError(
					`The file has more than the ${maxBytes} bytes that are gathered at once.`,
					{
						metaMessages: ["Read it piece by piece, a range of it, or allow more."],
						details: { cid, maxBytes },
					},
				);
			}
			pieces.push(piece);
		}
		const whole = new Uint8Array(bytes);
		let at = 0;
		for (const piece of pieces) {
			whole.set(piece, at);
			at += piece.byteLength;
		}
		return whole;
	}

	return {
		cid,
		size,
		[Symbol.asyncIterator]: () => read(),
		stream() {
			const bytes = read();
			return new ReadableStream<Uint8Array>({
				async pull(controller) {
					const { done, value } = await bytes.next();
					if (done) controller.close();
					else controller.enqueue(value);
				},
				async cancel() {
					await bytes.return(undefined);
				},
			});
		},
		bytes: (maxBytes = blockLimits.gatheredBytes) => gather(maxBytes),
		async json(maxBytes = blockLimits.gatheredBytes) {
			const bytes = await gather(maxBytes);
			try {
				return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes)) as unknown;
			} catch (cause) {
				throw new MalformedMessageError(`${cid} is not JSON.`, { cause, details: { cid } });
			}
		},
	};
}
