import { TabmeshError } from "./base.ts";

/** The family of what can go wrong with a wallet. */
export class WalletError extends TabmeshError {
	override name = "WalletError";
	override readonly code: string = "Wallet";
}

/** Thrown when a passphrase is needed, or is not the right one. `details.given` tells which. */
export class WrongPassphraseError extends WalletError {
	override name = "WrongPassphraseError";
	override readonly code = "WrongPassphrase";
}

/** Thrown when words are not a recovery phrase: unknown words, a wrong count, or a checksum that does not fit. */
export class RecoveryPhraseError extends WalletError {
	override name = "RecoveryPhraseError";
	override readonly code = "RecoveryPhrase";
}

/** Thrown when an import would replace a wallet that is kept here. */
export class WalletExistsError extends WalletError {
	override name = "WalletExistsError";
	override readonly code = "WalletExists";
}

/** Thrown when the person declined in the wallet's own window. */
export class WalletRejectedError extends WalletError {
	override name = "WalletRejectedError";
	override readonly code = "WalletRejected";
}

/** Thrown when a wallet is locked away, disconnected, on another chain, or answers nonsense. */
export class WalletUnavailableError extends WalletError {
	override name = "WalletUnavailableError";
	override readonly code = "WalletUnavailable";
}

/** The family of what is wrong with a sign-in (ERC-4361). Itself thrown when the message is not one. */
export class SignInError extends TabmeshError {
	override name = "SignInError";
	override readonly code: string = "SignIn";
}

/** Thrown when a sign-in was made for another site or chain. */
export class SignInDomainError extends SignInError {
	override name = "SignInDomainError";
	override readonly code = "SignInDomain";
}

/** Thrown when a sign-in's nonce was not given out here, is too old, or was used before. */
export class SignInNonceError extends SignInError {
	override name = "SignInNonceError";
	override readonly code = "SignInNonce";
}

/** Thrown when a sign-in is over, not valid yet, or would last too long. */
export class SignInTimeError extends SignInError {
	override name = "SignInTimeError";
	override readonly code = "SignInTime";
}

/** Thrown when a sign-in's signature is not its wallet's. */
export class SignInForgedError extends SignInError {
	override name = "SignInForgedError";
	override readonly code = "SignInForged";
}
