import { ChainError, ChainUnreachableError } from "@tabmesh/wire";
import * as v from "valibot";

/** How long the node has for an answer, as the wallets' questions give it. */
const answerMs = 8_000;
/** An id takes a few bytes; what else a node may say around it takes less than this. */
const longestAnswer = 4096;

const answerSchema = v.object({ result: v.pipe(v.string(), v.regex(/^0x[0-9a-f]{1,13}$/i)) });

/**
 * The EIP-155 id of the chain that a node answers for (`eth_chainId`, EIP-695): asked at the start, so that nobody has to
 * give it and a mistyped address shows at once.
 *
 * @throws ChainUnreachableError where no answer comes, ChainError where it is none
 */
export async function askChainId(rpc: string, signal: AbortSignal): Promise<number> {
	const { host } = new URL(rpc);
	let text: string;
	try {
		const response = await fetch(rpc, {
			method: "POST",
			headers: { "Content-Type": "application/json" },
			body: JSON.stringify({ jsonrpc: "2.0", id: 1, method: "eth_chainId", params: [] }),
			signal: AbortSignal.any([signal, AbortSignal.timeout(answerMs)]),
		});
		text = await shortText(response);
	} catch (cause) {
		signal.throwIfAborted();
		throw new ChainUnreachableError(`No node of a chain answers at ${host} (--chain-rpc).`, {
			cause,
			metaMessages: ["Check the address of its JSON-RPC and that it runs, or leave --chain-rpc out."],
		});
	}
	try {
		const id = Number(v.parse(answerSchema, JSON.parse(text)).result);
		if (id > 0) return id;
	} catch {
		// Told below, as an id of 0 is.
	}
	throw new ChainError(`What answers at ${host} (--chain-rpc) is no node of a chain.`, {
		metaMessages: ["It has to answer eth_chainId over JSON-RPC."],
	});
}

/** The body, or nothing where it goes on and on. */
async function shortText({ body }: Response): Promise<string> {
	let text = "";
	for await (const part of body?.pipeThrough(new TextDecoderStream()) ?? []) {
		text += part;
		if (text.length > longestAnswer) return "";
	}
	return text;
}
