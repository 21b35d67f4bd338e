/** The parts of this room that need a file system: model files and the store of shards on disk. Node only. */
export * from "./format/diskFile.ts";
export { type FetchCatalogOptions, fetchCatalogModel } from "./catalog/fetchCatalogModel.ts";
