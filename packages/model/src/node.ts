/** The parts of this room that need a file system: model files and the store of shards on disk. Node only. */

export { type FetchCatalogOptions, fetchCatalogModel } from "./catalog/fetchCatalogModel.ts";
export * from "./format/diskFile.ts";
export { openModelPath } from "./open/openModelPath.ts";
export { type OpenedUrl, type OpenModelUrlOptions, openModelUrl } from "./open/openModelUrl.ts";
