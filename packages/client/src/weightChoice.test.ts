import { expect, test } from "vitest";
import { weightChoice } from "./weightChoice.ts";

test("every backend runs the best of what a model is offered in, and float32 where that is best or all there is", () => {
	expect(weightChoice(["f32"], false)).toEqual({ cpu: "f32", webgpu: "f32", wasm: "f32" });
	expect(weightChoice(["f32", "q8"], false)).toMatchObject({ cpu: "f32", webgpu: "q8" });
	expect(weightChoice(["f32", "q8", "q8a8", "q4"], false)).toMatchObject({ cpu: "q8a8", webgpu: "q4" });
	expect(weightChoice(["f32", "q4"], false)).toMatchObject({ cpu: "f32", webgpu: "q4" });
	expect(weightChoice(["f32", "q8", "q8a8", "i8"], false)).toEqual({ cpu: "q8a8", webgpu: "q8", wasm: "i8" });
	expect(weightChoice(["f32", "q8", "q8a8", "i8"], true)).toEqual({ cpu: "q8a8", webgpu: "q8", wasm: "f32" });
});
