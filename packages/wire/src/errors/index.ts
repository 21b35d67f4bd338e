export { TabmeshError, type TabmeshErrorOptions } from "./base.ts";
export {
	CapabilityActionError,
	CapabilityError,
	CapabilityForgedError,
	CapabilityHolderError,
	CapabilityRevokedError,
	CapabilityRoomError,
	CapabilityTimeError,
	CapabilityWidenedError,
} from "./capability.ts";
export {
	AuthorQuotaError,
	KeySpaceError,
	StoreBusyError,
	ValueTooLargeError,
	WriteQuorumError,
} from "./cstore.ts";
export {
	DelegationChainError,
	DelegationError,
	DelegationExpiredError,
	DelegationForgedError,
	DelegationNotYetValidError,
	DelegationPeerError,
	DelegationRevokedError,
	DelegationScopeError,
	DelegationUncheckedError,
} from "./delegation.ts";
export {
	DeviceLostError,
	EngineInputError,
	EngineUnavailableError,
	OutOfMemoryBudgetError,
	WeightFormatError,
} from "./engine.ts";
export {
	BlockIntegrityError,
	DecryptionError,
	FileFormatError,
	FileNotFoundError,
	InvalidCidError,
	StorageInUseError,
} from "./files.ts";
export {
	ConsentRequiredError,
	InsecureOriginError,
	PortInUseError,
} from "./host.ts";
export {
	EnvelopeTimeError,
	InvalidSignatureError,
	KeyStorageError,
	ReplayedEnvelopeError,
} from "./identity.ts";
export { ChainError, ChainUnreachableError, WrongChainError } from "./ledger.ts";
export {
	InvalidTensorError,
	MalformedMessageError,
	MessageTooLargeError,
	UnsupportedVersionError,
} from "./message.ts";
export {
	ModelFileError,
	ModelNotFoundError,
	ModelSourceError,
	ShardIntegrityError,
	StorageQuotaError,
	TokenizerError,
} from "./model.ts";
export {
	FloodError,
	PeerBannedError,
	PeerUnreachableError,
	ProtocolViolationError,
	StreamResetError,
	TimeoutError,
} from "./network.ts";
export {
	EmptyPromptError,
	InvalidParameterError,
	NoRouteError,
	PromptTooLongError,
	ReceiptError,
	RouteRefusedError,
	RouteViolationError,
	StageBusyError,
	StageLostError,
	TokenChainError,
} from "./pipeline.ts";
export { PrekeyExpiredError, SealedMessageError } from "./sealed.ts";
export {
	RecoveryPhraseError,
	SignInDomainError,
	SignInError,
	SignInForgedError,
	SignInNonceError,
	SignInTimeError,
	WalletError,
	WalletExistsError,
	WalletRejectedError,
	WalletUnavailableError,
	WrongPassphraseError,
} from "./wallet.ts";
