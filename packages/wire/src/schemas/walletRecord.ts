import * as v from "valibot";
import { bytesSchema } from "./common.ts";
import { addressSchema } from "./delegation.ts";

const costSchema = (most: number) => v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(most));

/** An embedded wallet as it is kept on a device. */
export const walletRecordSchema = v.strictObject({
	version: v.literal(1),
	address: addressSchema,
	/** How the key of `box` is made. `none`: the file's mode is all that guards it. */
	guard: v.variant("by", [
		v.strictObject({
			by: v.literal("passphrase"),
			/** scrypt (RFC 7914). The bounds keep a forged record from eating the device's memory: at most 1 GiB. */
			n: v.pipe(
				costSchema(2 ** 20),
				v.check((n) => n > 1 && (n & (n - 1)) === 0, "a power of two"),
			),
			r: v.literal(8),
			p: costSchema(4),
			salt: bytesSchema(16),
		}),
		v.strictObject({ by: v.literal("device") }),
		v.strictObject({ by: v.literal("none") }),
	]),
	/** 12 bytes for AES-GCM. */
	iv: bytesSchema(12),
	/** The recovery phrase: 24 English words and a tag at most. */
	box: v.pipe(
		v.instance(Uint8Array),
		v.check(({ byteLength }) => byteLength > 0 && byteLength <= 256, "a recovery phrase"),
	),
});
export type WalletRecord = v.InferOutput<typeof walletRecordSchema>;
