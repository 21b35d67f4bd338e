const KiB = 1024;
const MiB = 1024 * KiB;

/**
 * The largest of everything that crosses a border. A message beyond its limit is refused unread. Each number stands
 * beside its reason; docs/limits.md is the same list in prose.
 */
export const limits = {
	/** A signed envelope: a route or record with room to grow; far below gossipsub's 1 MiB message. */
	envelopeBytes: 16 * KiB,
	/** An announcement: one peer with a handful of spans is about 200 bytes. */
	announcementBytes: 4 * KiB,
	/** Spans one peer may announce: more models at once than any device holds. */
	announcedSpans: 16,
	/** Round trips one peer may announce: a relay or two and its neighbours on rings, at about 60 bytes each. */
	announcedLinks: 8,
	/** Longest round trip that can be announced in milliseconds: who is further away is not there. */
	roundTripMs: 60_000,
	/** Rooms one peer may be in at once. */
	announcedRooms: 8,
	/** A signed route: 64 hops of about 90 bytes, and a capability. */
	routeBytes: 10 * KiB,
	/** A sealed receipt: about 500 bytes, most of them names. */
	receiptBytes: 1 * KiB,
	/** Stages of one route: beyond a few, every further hop only adds delay. */
	routeHops: 64,
	/** A control message on a stage stream: two lists of 8,192 tokens at 5 bytes each, a constraint, biases, a route and links. */
	controlBytes: 128 * KiB,
	/** Tokens in one control message. */
	controlTokens: 8192,
	/** Tokens whose logits are biased: as many as OpenAI takes. */
	biasedTokens: 300,
	/** Likeliest tokens told with each token: as many as OpenAI tells. */
	topLogprobs: 20,
	/** A mean of hidden states: 16,384 values in float32, the widest hidden size in use today. */
	embeddingBytes: 64 * KiB,
	/** A JSON schema that an answer is held to: what people and their programs write has a few KiB. */
	schemaBytes: 16 * KiB,
	/** What stands around the JSON of an answer: a model's tags. */
	constraintTagLength: 64,
	/** Links of a stream by which stages find what they kept of it: 16,384 positions at 16 each, 8 bytes a link. */
	prefixLinks: 1024,
	/** The CBOR header of a ring frame. */
	frameHeaderBytes: 512,
	/** Drafted tokens in one lap: even where nine of ten are accepted the sixteenth is in one lap of six. */
	drafts: 16,
	/** A whole ring frame: 512 positions × 8,192 values in float32, and the header. */
	frameBytes: 16 * MiB + KiB,
	/** Rows of one tensor: the longest prefill chunk. */
	tensorRows: 4096,
	/** Columns of one tensor: the widest hidden size in use today is 16,384. */
	tensorColumns: 32_768,
	/** A model manifest: about 40 bytes for each MiB of weights, so 100 GB fit. */
	manifestBytes: 8 * MiB,
	/** What a publisher measured about a model: a few formats and their counts. */
	gateBytes: 2 * KiB,
	/** Weight formats in such a record: several times as many as there are. */
	gateFormats: 16,
	/** Layers of one model. */
	layers: 512,
	/** Entries of a vocabulary: four times the largest in use. */
	vocabulary: 1_048_576,
	/** Positions of a context that can be asked for. */
	contextTokens: 1_048_576,
	/** Bytes of source that one hash of the manifest covers. */
	chunkBytes: MiB,
	/** A hello: names and numbers only. */
	helloBytes: 2 * KiB,
	/** A rendezvous answer: what a few thousand peers announce, and that they are here. */
	rendezvousBytes: 4 * MiB,
	/** Length of a room id. */
	roomIdLength: 64,
	/** A signed delegation or revocation: 16 scopes and the longest signature. */
	delegationBytes: 8 * KiB,
	/** Scopes of one delegation: more than there are services. */
	delegationScopes: 16,
	/** Length of a scope's name. */
	scopeLength: 64,
	/** Longest life of a delegation: a year and a month, so that even a forgotten one ends. */
	delegationSeconds: 400 * 24 * 3600,
	/** A wallet's signature: a key's has 65 bytes, a passkey's in a contract wallet about 1 KB, a Safe's 65 per owner. */
	walletSignatureBytes: 4 * KiB,
	/** A capability token in bytes, before base64url: eight blocks of about 150 bytes. */
	capabilityBytes: 2 * KiB,
	/** Links of a capability's chain: owner → friend → friend's devices, with room. */
	capabilityBlocks: 8,
	/** Actions that one capability grants. */
	capabilityActions: 16,
	/** Length of an action's name. */
	capabilityActionLength: 32,
	/** A prekey: a key and a time. */
	prekeyBytes: 128,
	/** Longest life of a prekey in milliseconds: how far back a seized device could read at worst. */
	prekeyMs: 24 * 3_600_000,
	/** A sign-in message (ERC-4361): one sentence, a few resources. */
	signInLength: 4 * KiB,
	/** A kept wallet: one recovery phrase. */
	walletRecordBytes: KiB,
	/** A value of shared state: what is larger is a file. */
	cstoreValueBytes: 64 * KiB,
	/** All values of one transaction: four of the largest. */
	cstoreTransactionBytes: 256 * KiB,
	/** Values inside one envelope of shared state; with 32 keys and hashes beside them it stays below `envelopeBytes`. */
	cstoreInlineBytes: 5 * KiB,
	/** Keys that one transaction writes. */
	cstoreWrites: 32,
	/** Length of a key behind its space, and of a field: a CID or two peer ids fit. */
	cstoreNameLength: 128,
	/** Length of the name of a room's part: a word. */
	cstorePartLength: 32,
	/** A message between two peers that compare shared state: one largest record, or as many small ones. */
	cstoreMessageBytes: 512 * KiB,
	/** Ranges in one such message. */
	cstoreRanges: 4096,
	/** Records asked for or given in one such message. */
	cstoreIds: 8192,
} as const;
