/**
 * Messages sealed to other peers with forward secrecy (HPKE, RFC 9180), for what does not travel over a direct connection. An
 * entry of its own: pages load the cipher suite when they need it.
 */
export { createPrekeys, type OpenedMessage, type Prekeys, type PrekeysInit } from "./createPrekeys.ts";
export { createSealer, type Sealer, type SealerInit } from "./createSealer.ts";
export { openPrekey } from "./openPrekey.ts";
export type { Prekey } from "./prekey.ts";
