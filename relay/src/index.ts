/**
 * The relay: rendezvous and circuit relay for the peers, the built site, its description and its metrics, all on one
 * port. It helps tabs find and reach each other and then steps aside.
 *
 * It gives `startRelay`, and to others who open a port the way it does that; what a command line needs to read its options
 * is at `@tabmesh/relay/command-line`. It never sees a prompt, a token or a hidden state, never loads a model, and keeps nothing but its own key and certificate.
 */
export { type Certificate, obtainCertificate, phoneSteps } from "./certificate.ts";
export type { ConnectionRate } from "./connectionRate.ts";
export { closeServers, listen } from "./httpServer.ts";
export type { HostName } from "./listenAddress.ts";
export { type Relay, type RelayOptions, type SiteParts, startRelay } from "./startRelay.ts";
