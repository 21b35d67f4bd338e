/**
 * Tabmesh on any page, in a few kilobytes: `connect()` asks, `<tabmesh-chat>` and `<tabmesh-lend>` are panels. Everything else, keys and
 * consent among it, lives in frames of the relay's own origin and is loaded after a click.
 *
 * This room's page side holds no key, opens no connection and computes nothing; its frames believe nothing that the page around them says.
 */
export { type ConnectOptions, connect, type TabmeshClient } from "./connect.ts";
export { defineElements } from "./elements.ts";
