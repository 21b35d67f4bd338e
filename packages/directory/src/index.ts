/**
 * Who is there and holds what. Signed announcements, spread by gossip and remembered by relays, become a typed view
 * of the swarm for planners and pages; what is not repeated expires.
 *
 * This room decides nothing: who should hold what and where a stream runs is `pipeline`'s business.
 */
export { announceTopic, createDirectory, type DirectoryInit } from "./createDirectory.ts";
export type { Directory, DirectoryEvents, Member } from "./directory.ts";
