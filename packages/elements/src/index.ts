/**
 * The faces of the network: Lit elements that Tabmesh's own pages show and that dapps embed.
 *
 * `<tabmesh-lend>`, `<tabmesh-chat>`, `<tabmesh-storage>`, `<tabmesh-console>` and `<tabmesh-wallet>` are whole panels; the ring, map, dial, bars and notices that they are made of can be
 * used alone. Each is handed a `Tabmesh`, or a function that opens one, and draws what it sees.
 *
 * `chat/`, `lend/`, `storage/` and `console/` are the panels with what only they show; `conversations/` keeps what was asked, `prose/` draws what a
 * model wrote, `language/` has every text. What several panels share lies beside this page.
 *
 * This room never opens a network by itself, never computes, never lends without a click, and never turns a model's
 * text into anything but text and the few elements that markdown names.
 */
export { TabmeshCannot } from "./cannot.ts";
export { TabmeshChat } from "./chat/chat.ts";
export type { Connect } from "./connection.ts";
export { TabmeshConsole } from "./console/console.ts";
export { TabmeshPeerFacts } from "./console/peerFacts.ts";
export { TabmeshPeers } from "./console/peers.ts";
export { TabmeshRelayFacts } from "./console/relayFacts.ts";
export { TabmeshSwarmMap } from "./console/swarmMap.ts";
export { TabmeshTrend } from "./console/trend.ts";
export { TabmeshTroubles } from "./console/troubles.ts";
export { TabmeshInvite } from "./invite.ts";
export { TabmeshLayers } from "./layers.ts";
export { TabmeshDashboard } from "./lend/dashboard.ts";
export { TabmeshDial } from "./lend/dial.ts";
export { TabmeshHistory } from "./lend/history.ts";
export { TabmeshLend } from "./lend/lend.ts";
export { TabmeshLendNotices } from "./lend/lendNotices.ts";
export { TabmeshOrbit } from "./lend/orbit.ts";
export { TabmeshPreferences } from "./lend/preferences.ts";
export { TabmeshNotice } from "./notice.ts";
export { TabmeshProgress } from "./progress.ts";
export { TabmeshRing } from "./ring.ts";
export { TabmeshSources } from "./storage/sources.ts";
export { TabmeshStorage } from "./storage/storage.ts";
export { TabmeshSwarm } from "./swarm.ts";
export { TabmeshUpdate } from "./update.ts";
export { TabmeshWallet } from "./wallet.ts";
