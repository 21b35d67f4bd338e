export * from "./engine.ts";
export * from "./shardSource.ts";
