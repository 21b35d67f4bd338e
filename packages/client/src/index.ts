export * from "./tabmesh.ts";
