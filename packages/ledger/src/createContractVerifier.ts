import type { ContractSignature, ContractVerifier } from "@tabmesh/dauth";
import { ChainError, ChainUnreachableError, InvalidParameterError, WrongChainError } from "@tabmesh/wire";
import { bytesToHex, createClient, type Hex, http, size, zeroAddress } from "viem";
import { call } from "viem/actions";
import {
	decodeAbiParameters,
	encodeDeployData,
	isErc6492Signature,
	parseAbi,
	parseAbiParameters,
	parseErc6492Signature,
} from "viem/utils";
import { signatureProbeCode } from "./signatureProbeCode.ts";

/** A chain, and how it is reached. */
export interface Chain {
	/** EIP-155. */
	readonly id: number;
	/** Address of a node's JSON-RPC, `https://…`. */
	readonly rpc: string;
}

/** How long a node has for an answer: it computes for milliseconds, the rest is the way there. */
const answerMs = 8_000;
/** Gas of one question. The probe gives the wallet 3 and its factory 6 million of it; nodes allow 50 million and more. */
const gas = 12_000_000n;

const probeAbi = parseAbi([
	"constructor(address wallet, bytes32 hash, bytes signature, address factory, bytes factoryData)",
]);
const answerParameters = parseAbiParameters("bool isValid, uint256 chainId");
const answerBytes = 64;

/**
 * Asks a chain whether signatures are those of contract wallets: ERC-1271, and ERC-6492 for wallets that are not
 * deployed yet. One `eth_call` for each question, everything in one block (`contracts/src/SignatureProbe.sol`); a wallet
 * that reverts, burns gas or floods has not signed. Ask through `cacheContractVerifier`: dauth's verifiers do.
 *
 * An address without a contract has not signed, whatever a key could: keys are checked without a chain.
 *
 * @param chain.rpc - asked anew each time; it may move between nodes
 * @param options.timeoutMs - how long it has for an answer. @default 8,000
 * @throws InvalidParameterError. `isValidSignature` rejects with ChainUnreachableError where no answer comes,
 * WrongChainError where the node is of another chain or the signature for one, ChainError where it answers nonsense
 *
 * @example
 * ```ts
 * import { createDelegationVerifier } from "@tabmesh/dauth/wallet";
 * import { createContractVerifier } from "@tabmesh/ledger";
 * const contracts = createContractVerifier({ id: 8453, rpc: "https://mainnet.base.org" });
 * const verifier = createDelegationVerifier({ chainId: 8453, contracts });
 * ```
 *
 * @see https://eips.ethereum.org/EIPS/eip-1271 and https://eips.ethereum.org/EIPS/eip-6492
 */
export function createContractVerifier(
	{ id, rpc }: Chain,
	{ timeoutMs = answerMs }: { timeoutMs?: number } = {},
): ContractVerifier {
	if (!(Number.isSafeInteger(id) && id > 0) || !/^https?:\/\//.test(rpc) || !URL.canParse(rpc)) {
		throw new InvalidParameterError("A chain is its id and the address of a node.", {
			metaMessages: ['For example { id: 31337, rpc: "http://127.0.0.1:8545" }.'],
			details: { id },
		});
	}

	const ask = async (question: Hex, signal: AbortSignal | undefined): Promise<Hex> => {
		const ended = AbortSignal.any([AbortSignal.timeout(timeoutMs), ...(signal ? [signal] : [])]);
		// Whoever asked decides about asking again; a client of its own, because only that can be aborted.
		const transport = http(rpc, { retryCount: 0, timeout: 0, fetchOptions: { signal: ended } });
		try {
			const { data } = await call(createClient({ transport, ccipRead: false }), { data: question, gas });
			return data ?? "0x";
		} catch (cause) {
			signal?.throwIfAborted();
			throw new ChainUnreachableError(`The node of chain ${id} gives no answer.`, {
				cause,
				metaMessages: ["Check the address of its JSON-RPC and that it runs, or try again later."],
				details: { chainId: id },
			});
		}
	};

	return {
		async isValidSignature({ chainId, ...asked }, { signal } = {}) {
			signal?.throwIfAborted();
			if (chainId !== id) {
				throw new WrongChainError(`A signature for chain ${chainId} cannot be checked on chain ${id}.`, {
					details: { ours: id, theirs: chainId },
				});
			}
			const question = questionOf(asked);
			if (!question) return false;
			const answer = await ask(question, signal);
			const { isValid, theirs } = readAnswer(answer);
			if (theirs !== BigInt(id)) {
				throw new WrongChainError(`This node is of chain ${theirs}, not ${id}.`, {
					metaMessages: ["Give the address of a node of the right chain."],
					details: { ours: id, theirs: String(theirs) },
				});
			}
			return isValid;
		},
	};
}

/** What the probe returned. @throws ChainError where something else did */
function readAnswer(answer: Hex): { isValid: boolean; theirs: bigint } {
	try {
		if (size(answer) === answerBytes) {
			const [isValid, theirs] = decodeAbiParameters(answerParameters, answer);
			return { isValid, theirs };
		}
	} catch {
		// No boolean.
	}
	throw new ChainError("A node of a chain answers nonsense.", {
		metaMessages: ["Check the address of its JSON-RPC."],
		details: { bytes: size(answer) },
	});
}

/** The creation code that asks; undefined where the signature only looks like one of a wallet not yet deployed. */
function questionOf({ hash, signature, wallet }: Omit<ContractSignature, "chainId">): Hex | undefined {
	const hex = bytesToHex(signature);
	const encode = (inner: Hex, factory: Hex, factoryData: Hex): Hex =>
		encodeDeployData({
			abi: probeAbi,
			bytecode: signatureProbeCode,
			args: [wallet, hash, inner, factory, factoryData],
		});
	if (!isErc6492Signature(hex)) return encode(hex, zeroAddress, "0x");
	try {
		const { signature: inner, address, data } = parseErc6492Signature(hex);
		return encode(inner, address ?? zeroAddress, data ?? "0x");
	} catch {
		return undefined;
	}
}
