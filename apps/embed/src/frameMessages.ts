import { wireErrorSchema } from "@tabmesh/wire";
import * as v from "valibot";

// What a page and Tabmesh's frames in it say to each other: docs/protocol.md, "Frames". Either side takes the other for a stranger.

/** Changes when a frame and a page of before would misunderstand each other. */
export const frameProtocol = 1;

/** Characters of a capability: eight blocks in base64url. */
const capabilityLength = 4096;
/** A question with its whole conversation, schemas and tools: 32,000 tokens of English, more than any model of the catalogue reads. */
export const callLength = 131_072;
/** Values in such a question, all levels together: a conversation of a thousand turns has four thousand. */
export const callValues = 16_384;
/** Characters of a language tag (BCP 47): the longest without private parts. */
const languageLength = 35;
/** Characters of a custom property that a page styles a frame with. */
const lookLength = 200;
/** No panel is taller, in CSS pixels. */
const tallest = 20_000;
/** Calls of one connection: more than a page that asks with every key for a year makes. */
const lastCall = 2 ** 31;

/** Custom properties that a page may set for the chat, which consents to nothing. */
export const lookProperties = [
	"paper",
	"surface",
	"ink",
	"muted",
	"line",
	"control",
	"accent",
	"on-accent",
	"tint",
	"danger",
	"danger-tint",
	"radius",
	"font",
	"prose",
	"mono",
] as const;

const lookSchema = v.strictObject({
	scheme: v.picklist(["light", "dark", "light dark"]),
	properties: v.partial(
		v.strictObject(
			v.entriesFromList(lookProperties, v.pipe(v.string(), v.maxLength(lookLength), v.regex(/^[^;{}\\]*$/))),
		),
	),
});
export type Look = v.InferOutput<typeof lookSchema>;

/** From a frame to the window around it, when it listens. Says nothing that not everybody may know. */
export const readySchema = v.object({ tabmesh: v.number(), type: v.literal("ready") });

/** From the window around it to a frame, once, with a port over which everything else goes. */
export const helloSchema = v.strictObject({
	tabmesh: v.literal(frameProtocol),
	type: v.literal("hello"),
	capability: v.optional(v.pipe(v.string(), v.maxLength(capabilityLength), v.regex(/^[\w-]*$/))),
	/** Of the page, as in `<html lang>`. */
	lang: v.optional(v.pipe(v.string(), v.maxLength(languageLength), v.regex(/^[\w-]*$/))),
	look: v.optional(lookSchema),
});
export type Hello = v.InferOutput<typeof helloSchema>;

const callId = v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(lastCall));

/** What can be called; nothing here computes on this device, and nothing tells a key. */
export const methods = [
	"chat.completions.create",
	"completions.create",
	"embeddings.create",
	"models.list",
	"models.retrieve",
] as const;
export type Method = (typeof methods)[number];

/** From a page to a frame. */
export const toFrameSchema = v.variant("type", [
	v.strictObject({
		type: v.literal("call"),
		id: callId,
		method: v.picklist(methods),
		params: v.optional(v.unknown()),
	}),
	v.strictObject({ type: v.literal("cancel"), id: callId }),
	v.strictObject({ type: v.literal("look"), look: lookSchema }),
]);
export type ToFrame = v.InferOutput<typeof toFrameSchema>;

/** From a frame to a page. */
export const toPageSchema = v.variant("type", [
	v.object({ type: v.literal("connected") }),
	v.object({ type: v.literal("refused"), error: wireErrorSchema }),
	v.object({ type: v.literal("result"), id: callId, value: v.unknown() }),
	v.object({ type: v.literal("begun"), id: callId }),
	v.object({ type: v.literal("piece"), id: callId, value: v.unknown() }),
	v.object({ type: v.literal("end"), id: callId }),
	v.object({ type: v.literal("failed"), id: callId, error: wireErrorSchema }),
	v.object({ type: v.literal("height"), height: v.pipe(v.number(), v.minValue(0), v.maxValue(tallest)) }),
	v.object({ type: v.literal("phase"), phase: v.pipe(v.string(), v.maxLength(32)) }),
	v.object({ type: v.literal("answer"), status: v.pipe(v.string(), v.maxLength(32)) }),
]);
export type ToPage = v.InferOutput<typeof toPageSchema>;
