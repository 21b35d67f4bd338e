/**
 * The command line, `npx tabmesh …`: starts networks, lends this machine, publishes models and asks. It puts rooms
 * together and prints; what it gives to tests and benches besides `run` is a relay with models behind it.
 *
 * It never computes, plans or speaks a protocol itself.
 */
export { buildSite } from "./buildSite.ts";
export { type ModelRoutes, modelRoutes, type ServedModel } from "./modelRoutes.ts";
export { run } from "./run.ts";
