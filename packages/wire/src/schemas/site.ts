import * as v from "valibot";
import { cidSchema, countSchema, roomIdSchema } from "./common.ts";
import { chainIdSchema } from "./delegation.ts";

const urlSchema = v.pipe(v.string(), v.maxLength(1024));

/**
 * What a relay's site says about its network at `/tabmesh.json`: the first thing that a page, the CLI or an embedding
 * dapp reads. JSON, because people read it too; nothing in it is secret, and everything it points to is checked by id.
 */
export const siteSchema = v.object({
	/** Multiaddrs of the relays, each with its `/p2p/…`. */
	relays: v.pipe(v.array(v.pipe(v.string(), v.maxLength(256))), v.minLength(1), v.maxLength(8)),
	room: roomIdSchema,
	/** The first is the default. */
	models: v.pipe(
		v.array(
			v.object({
				id: cidSchema,
				/** Catalogue id or file name, for people. */
				name: v.pipe(v.string(), v.maxLength(128)),
				license: v.optional(v.pipe(v.string(), v.maxLength(64))),
				/** Where the manifest lies, relative to the site or absolute. */
				manifest: urlSchema,
				/** Where its origins lie: JSON array of origin records. */
				origins: urlSchema,
				/** Where its signed gate record lies: which weight formats are good enough. Absent: nobody has measured. */
				gate: v.optional(urlSchema),
			}),
		),
		v.maxLength(64),
	),
	/** STUN and TURN servers of the operator. */
	iceServers: v.optional(
		v.pipe(
			v.array(
				v.object({
					urls: v.union([urlSchema, v.array(urlSchema)]),
					username: v.optional(urlSchema),
					credential: v.optional(urlSchema),
				}),
			),
			v.maxLength(8),
		),
	),
	/** The chain that wallets of this network sign for, and a node that answers for contract wallets there. */
	chain: v.optional(v.object({ id: chainIdSchema, rpc: v.optional(urlSchema) })),
	/** The operator's wish for at least this many stages, for demonstrations on one machine. */
	minStages: v.pipe(countSchema, v.minValue(1), v.maxValue(64)),
});
export type Site = v.InferOutput<typeof siteSchema>;
