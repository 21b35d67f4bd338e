/**
 * The faces of the network: Lit elements that Tabmesh's own pages show and that dapps embed.
 *
 * `<tabmesh-lend>`, `<tabmesh-chat>`, `<tabmesh-storage>`, `<tabmesh-console>` and `<tabmesh-wallet>` are whole panels; the ring, map, dial, bars and notices that they are made of can be
 * used alone. Each is handed a `Tabmesh`, or a function that opens one, and draws what it sees.
 *
 * This room never opens a network by itself, never computes, never lends without a click, and never turns a model's
 * text into anything but text and the few elements that markdown names.
 */
export { TabmeshCannot } from "./cannot.ts";
export { TabmeshChat } from "./chat.ts";
export type { Connect } from "./connection.ts";
export { TabmeshConsole } from "./console.ts";
export { TabmeshDashboard } from "./dashboard.ts";
export { TabmeshDial } from "./dial.ts";
export { TabmeshHistory } from "./history.ts";
export { TabmeshInvite } from "./invite.ts";
export { TabmeshLayers } from "./layers.ts";
export { TabmeshLend } from "./lend.ts";
export { TabmeshLendNotices } from "./lendNotices.ts";
export { TabmeshNotice } from "./notice.ts";
export { TabmeshOrbit } from "./orbit.ts";
export { TabmeshPeerFacts } from "./peerFacts.ts";
export { TabmeshPeers } from "./peers.ts";
export { TabmeshPreferences } from "./preferences.ts";
export { TabmeshProgress } from "./progress.ts";
export { TabmeshRelayFacts } from "./relayFacts.ts";
export { TabmeshRing } from "./ring.ts";
export { TabmeshSources } from "./sources.ts";
export { TabmeshStorage } from "./storage.ts";
export { TabmeshSwarm } from "./swarm.ts";
export { TabmeshSwarmMap } from "./swarmMap.ts";
export { TabmeshTrend } from "./trend.ts";
export { TabmeshTroubles } from "./troubles.ts";
export { TabmeshUpdate } from "./update.ts";
export { TabmeshWallet } from "./wallet.ts";
