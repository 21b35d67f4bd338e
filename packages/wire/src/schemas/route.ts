import * as v from "valibot";
import { limits } from "../limits.ts";
import { capabilityTokenSchema } from "./capability.ts";
import {
	cidSchema,
	countSchema,
	peerIdSchema,
	roomIdSchema,
	spanSchema,
	streamIdSchema,
	timeSchema,
} from "./common.ts";

/** One stage of a route: who computes which span. */
export const hopSchema = v.strictObject({ peer: peerIdSchema, span: spanSchema });
export type Hop = v.InferOutput<typeof hopSchema>;

/** Whether the ends of a route, embedding and head, are the asker's own: in private mode, in which the others see no token. */
export function isPrivateRoute(hops: readonly Hop[]): boolean {
	return hops.length > 2 && hops[0]!.peer === hops.at(-1)!.peer;
}

/**
 * The route of one stream, the payload of a `route` envelope signed by the asker. A stage takes frames of the stream
 * only from its predecessor on the newest generation of this route.
 */
export const routeSchema = v.pipe(
	v.strictObject({
		stream: streamIdSchema,
		/** Rises with every failover; frames of an older generation are dropped. */
		generation: countSchema,
		room: roomIdSchema,
		model: cidSchema,
		/**
		 * In the order of the layers; the last one sends sampled tokens to the first. In a private stream both are the asker, with the
		 * embedding and the first layers, and with the head alone.
		 */
		hops: v.pipe(v.array(hopSchema), v.minLength(1), v.maxLength(limits.routeHops)),
		expires: timeSchema,
		/** In a private room: what shows that the asker may ask there. */
		capability: v.optional(capabilityTokenSchema),
	}),
	v.check(({ hops }) => {
		for (let i = 1; i < hops.length; i++) {
			const before = hops[i - 1]!.span;
			const { span } = hops[i]!;
			if (span.from !== before.to || span.embed || before.head) return false;
		}
		const distinct = isPrivateRoute(hops) ? hops.slice(1) : hops;
		return new Set(distinct.map((hop) => hop.peer)).size === distinct.length;
	}, "an unbroken chain of spans over distinct peers, but for the two ends"),
);
export type Route = v.InferOutput<typeof routeSchema>;
