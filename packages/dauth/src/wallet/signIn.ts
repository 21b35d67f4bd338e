import { InvalidParameterError } from "@tabmesh/wire";
import type { Hex } from "viem";
import { createSiweMessage, type SiweMessage } from "viem/siwe";
import { bytesToHex, hashMessage } from "viem/utils";
import type { Wallet } from "./wallet.ts";
import { sortSignature } from "./walletSignature.ts";

/** What a wallet signs in to. */
export interface SignInRequest {
	/** Host and, if not the usual one, port of the gateway or relay: `relay.example.org`. */
	domain: string;
	/** What is signed in to: `https://relay.example.org/v1`. */
	uri: string;
	chainId: number;
	/** From the gateway's `SignInGate.nonce()`. */
	nonce: string;
	/** One sentence for the person who signs. */
	statement?: string;
	resources?: string[];
	/** How long the sign-in shall hold. @default 1 hour */
	lifetimeMs?: number;
	/** Milliseconds since 1970. @default Date.now() */
	now?: number;
}

/** A signed ERC-4361 message, as plain text for an HTTP body. */
export interface SignIn {
	readonly message: string;
	readonly signature: Hex;
}

/**
 * Has a wallet sign in to a gateway or relay (ERC-4361, "Sign-In with Ethereum"). An installed wallet opens its window.
 *
 * @throws InvalidParameterError; WalletRejectedError, WalletUnavailableError
 * @see https://eips.ethereum.org/EIPS/eip-4361
 */
export async function signIn(wallet: Wallet, request: SignInRequest): Promise<SignIn> {
	const now = request.now ?? Date.now();
	const fields: SiweMessage = {
		address: wallet.address,
		chainId: request.chainId,
		domain: request.domain,
		nonce: request.nonce,
		uri: request.uri,
		version: "1",
		issuedAt: new Date(now),
		expirationTime: new Date(now + (request.lifetimeMs ?? 3_600_000)),
		...(request.statement === undefined ? {} : { statement: request.statement }),
		...(request.resources === undefined ? {} : { resources: request.resources }),
	};
	let message: string;
	try {
		message = createSiweMessage(fields);
	} catch (cause) {
		throw new InvalidParameterError("No sign-in can say this.", {
			cause,
			metaMessages: ["Domain, URI and nonce must be the gateway's, the statement one line."],
		});
	}
	const returned = await wallet.signMessage(message);
	const { signature } = await sortSignature(wallet, hashMessage(message), returned);
	return { message, signature: bytesToHex(signature) };
}
