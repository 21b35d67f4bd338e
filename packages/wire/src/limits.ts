const KiB = 1024;
const MiB = 1024 * KiB;

/**
 * The largest of everything that crosses a border. A message beyond its limit is refused unread. Each number stands
 * beside its reason; docs/limits.md is the same list in prose.
 */
export const limits = {
	/** A signed envelope: an announcement or route with room to grow; far below gossipsub's 1 MiB message. */
	envelopeBytes: 16 * KiB,
	/** An announcement's payload: one peer with a handful of spans is about 200 bytes. */
	announcementBytes: 4 * KiB,
	/** Spans one peer may announce: more models at once than any device holds. */
	announcedSpans: 16,
	/** Rooms one peer may be in at once. */
	announcedRooms: 8,
	/** A signed route: 64 hops of about 90 bytes. */
	routeBytes: 8 * KiB,
	/** Stages of one route: beyond a few, every further hop only adds delay. */
	routeHops: 64,
	/** A control message on a stage stream: a full prompt chunk of 8,192 tokens at 5 bytes each, and its envelope. */
	controlBytes: 64 * KiB,
	/** Tokens in one control message. */
	controlTokens: 8192,
	/** The CBOR header of a ring frame. */
	frameHeaderBytes: 512,
	/** A whole ring frame: 512 positions × 8,192 values in float32, and the header. */
	frameBytes: 16 * MiB + KiB,
	/** Rows of one tensor: the longest prefill chunk. */
	tensorRows: 4096,
	/** Columns of one tensor: the widest hidden size in use today is 16,384. */
	tensorColumns: 32_768,
	/** A model manifest: about 40 bytes for each MiB of weights, so 100 GB fit. */
	manifestBytes: 8 * MiB,
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
	/** A rendezvous answer: announcements of a few thousand peers. */
	rendezvousBytes: 4 * MiB,
	/** Length of a room id. */
	roomIdLength: 64,
} as const;
