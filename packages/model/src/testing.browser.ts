/** The parts of `testing.ts` that run in a page. */
export { openSeededModel } from "./testing/openSeededModel.ts";
export { openTinyModel } from "./testing/openTinyModel.ts";
export { type SeededModelOptions, seededModelFiles } from "./testing/seededModel.ts";
