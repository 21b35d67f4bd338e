/**
 * Who is there and holds what. Every peer writes a signed announcement of itself into a part of the room's shared state and
 * goes on saying that it is here; who falls silent is shown no more. That becomes a typed view of the swarm for planners
 * and pages.
 *
 * This room decides nothing: who should hold what and where a stream runs is `pipeline`'s business.
 */
export { createDirectory, type DirectoryInit } from "./createDirectory.ts";
export type { Directory, DirectoryEvents, Member } from "./directory.ts";
