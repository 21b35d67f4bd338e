/**
 * What a command line needs of this room before it starts anything: how options are read and how signals stop a
 * program. A face of its own, because the other one brings libp2p along, and `--help` should not wait for that.
 */
export { type HostName, isLoopback, parseHost, parseHostHeader, parsePort } from "./listenAddress.ts";
export { stopOnSignals } from "./stopOnSignals.ts";
