/** What tests of this and other rooms need: tiny models that are real files, made from a seed. */
export { type HubServer, startHubServer } from "./huggingface/testing/hubServer.ts";
export { tinyHubModel } from "./huggingface/testing/tinyHubModel.ts";
export { openSeededModel } from "./testing/openSeededModel.ts";
export { openTinyModel } from "./testing/openTinyModel.ts";
export { type SeededModelOptions, seededModelFiles } from "./testing/seededModel.ts";
export { writeSeededModel } from "./testing/writeSeededModel.ts";
