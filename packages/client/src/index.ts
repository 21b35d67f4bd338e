/**
 * The SDK: one object that reaches a network, asks it, lends to it and looks at it. It puts the rooms below together
 * and adds nothing of their kind itself.
 *
 * This room never renders, and never lends before it is told to by a person's click.
 */
export { connect } from "./connect.ts";
export type * from "./deviceHistory.ts";
export type * from "./devicePreferences.ts";
export type * from "./deviceStorage.ts";
export type * from "./deviceWallet.ts";
export type { DeviceState, LendPreferences, LendVerdict, RestReason } from "./lendPreferences.ts";
export { type OpenedStorage, type OpenStorageOptions, openStorage } from "./openStorage.ts";
export type * from "./tabmesh.ts";
export type { Absence } from "./watchAbsence.ts";
