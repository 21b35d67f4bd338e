import * as v from "valibot";
import { limits } from "../limits.ts";
import { cidSchema, countSchema } from "./common.ts";

/**
 * What a publisher measured about a model, in an envelope of the domain `gate`: how often each weight format names the same next
 * token as float32 on a fixed text, and how large hidden states become between layers. A record of its own, because it is not
 * content; formats that a reader does not know are no error, it only cannot run them.
 */
export const gateSchema = v.pipe(
	v.strictObject({
		model: cidSchema,
		/** Next tokens that were compared. */
		positions: v.pipe(countSchema, v.minValue(1)),
		formats: v.pipe(
			v.array(
				v.strictObject({
					weights: v.pipe(v.string(), v.regex(/^[a-z0-9.-]{1,32}$/)),
					/** Of the positions. */
					agreed: countSchema,
				}),
			),
			v.maxLength(limits.gateFormats),
		),
		/** Largest absolute value of the residual stream between layers, in float32. */
		largestResidual: v.pipe(v.number(), v.finite(), v.minValue(0)),
	}),
	v.check(
		({ positions, formats }) => formats.every(({ agreed }) => agreed <= positions),
		"counts within all",
	),
	v.check(
		({ formats }) => new Set(formats.map(({ weights }) => weights)).size === formats.length,
		"each format once",
	),
);
export type Gate = v.InferOutput<typeof gateSchema>;
