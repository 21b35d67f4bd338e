/** What tests of this and other rooms need: tiny models that are real files, made from a seed. */
export { type SeededModelOptions, seededModelFiles, writeSeededModel } from "./testing/seededModel.ts";
