import * as v from "valibot";
import { limits } from "../limits.ts";
import { cidSchema, countSchema, layerSchema, peerIdSchema, positiveSchema, roomIdSchema } from "./common.ts";

/**
 * What decides whether two peers compute identical floats: engine build, backend, vendor, weight and KV format,
 * for example `ort1.30/wasm/x64/f32/f32`.
 */
export const numericsClassSchema = v.pipe(v.string(), v.regex(/^[A-Za-z0-9._/+-]+$/), v.maxLength(64));

/** One span that a peer holds, or is about to hold. */
export const heldSpanSchema = v.pipe(
	v.strictObject({
		model: cidSchema,
		from: layerSchema,
		to: layerSchema,
		embed: v.boolean(),
		head: v.boolean(),
		/** Whether it serves now, or is still fetching and compiling. */
		ready: v.boolean(),
		/** Measured time of one decode step through the whole span, in milliseconds; 0 before the first measurement. */
		msPerToken: v.pipe(v.number(), v.finite(), v.minValue(0)),
	}),
	v.check((span) => span.from <= span.to, "an ordered span"),
);
export type HeldSpan = v.InferOutput<typeof heldSpanSchema>;

/** Layers of a model whose blocks a peer has on its disk: it can hold any of them within seconds. */
export const storedSpanSchema = v.pipe(
	v.strictObject({ model: cidSchema, from: layerSchema, to: layerSchema }),
	v.check((span) => span.from < span.to, "an ordered span"),
);
export type StoredSpan = v.InferOutput<typeof storedSpanSchema>;

/** A connection that a peer measured: with whom, the round trip in milliseconds, and whether it runs through a TURN server. */
export const measuredLinkSchema = v.strictTuple([
	peerIdSchema,
	v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(limits.roundTripMs)),
	v.boolean(),
]);
export type MeasuredLink = v.InferOutput<typeof measuredLinkSchema>;

/** A peer's account of itself, as it stands in the shared state of its room. The author is the record's. */
export const announcementSchema = v.strictObject({
	rooms: v.pipe(v.array(roomIdSchema), v.minLength(1), v.maxLength(limits.announcedRooms)),
	/** Oldest and newest protocol major spoken. */
	majors: v.strictTuple([countSchema, countSchema]),
	/** Program kind, for pictures and statistics. */
	kind: v.picklist(["page", "node", "relay"]),
	/** Milliseconds since 1970 when this peer joined: the tie-breaker when layers are dealt out. */
	joined: countSchema,
	/** What it lends; absent for a peer that only asks. */
	lends: v.optional(
		v.strictObject({
			numericsClass: numericsClassSchema,
			/** Bytes it is willing to hold in all. */
			memoryBytes: countSchema,
			/** Bytes of that which are not taken by weights and KV. */
			freeBytes: countSchema,
			/** Measured speed: weight bytes (in the format it runs) it streams through one decode step, per millisecond. */
			bytesPerMs: positiveSchema,
			/** Models its owner is willing to serve. */
			models: v.pipe(v.array(cidSchema), v.maxLength(limits.announcedSpans)),
			spans: v.pipe(v.array(heldSpanSchema), v.maxLength(limits.announcedSpans)),
			/** What it could hold without fetching anything, what it holds included. */
			stored: v.optional(v.pipe(v.array(storedSpanSchema), v.maxLength(limits.announcedSpans))),
			/** Streams it serves now. */
			streams: countSchema,
			/** How far others are: relays first, since two peers that measured the same one know about how far they are apart. */
			links: v.optional(v.pipe(v.array(measuredLinkSchema), v.maxLength(limits.announcedLinks))),
		}),
	),
});
export type Announcement = v.InferOutput<typeof announcementSchema>;
