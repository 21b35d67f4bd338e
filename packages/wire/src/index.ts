/**
 * What crosses a border: schemas with their limits, deterministic CBOR, tensors, versions, and the errors that every
 * room throws. Bytes from a peer, a file or a store become typed values here or nowhere.
 *
 * This room never does I/O, holds no keys and imports nothing else of Tabmesh.
 */
export { decodeCbor, encodeCbor, equalBytes } from "./cbor.ts";
export * from "./errors/index.ts";
export { fromWireError, toWireError, type WireError, wireErrorSchema } from "./errors/remote.ts";
export { float32ToHalf, halfToFloat32 } from "./half.ts";
export { limits } from "./limits.ts";
export * from "./schemas/announcement.ts";
export * from "./schemas/capability.ts";
export * from "./schemas/common.ts";
export * from "./schemas/cstore.ts";
export * from "./schemas/delegation.ts";
export * from "./schemas/envelope.ts";
export * from "./schemas/frame.ts";
export * from "./schemas/gate.ts";
export * from "./schemas/hello.ts";
export * from "./schemas/manifest.ts";
export * from "./schemas/receipt.ts";
export * from "./schemas/route.ts";
export * from "./schemas/sealed.ts";
export * from "./schemas/site.ts";
export * from "./schemas/stage.ts";
export * from "./schemas/walletRecord.ts";
export {
	assertFinite,
	decodeTensor,
	dtypeBytes,
	encodeTensor,
	type HiddenState,
	type TensorHeader,
	tensorHeaderSchema,
	type WireDtype,
	wireDtypeSchema,
} from "./tensor.ts";
