import { expect, test } from "vitest";
import { weightChoice } from "./weightChoice.ts";

test("every backend runs the best of what a model is offered in, and float32 where that is best or all there is", () => {
	const first = (...args: Parameters<typeof weightChoice>) => {
		const { cpu, webgpu, wasm } = weightChoice(...args);
		return { cpu: cpu[0], webgpu: webgpu[0], wasm: wasm[0] };
	};
	expect(first(["f32"])).toEqual({ cpu: "f32", webgpu: "f32", wasm: "f32" });
	expect(first(["f32", "q8"])).toEqual({ cpu: "f32", webgpu: "q8", wasm: "f32" });
	expect(first(["f32", "q8", "q8a8", "q4"])).toEqual({ cpu: "q8a8", webgpu: "q4", wasm: "f32" });
	expect(first(["f32", "q4"])).toEqual({ cpu: "f32", webgpu: "q4", wasm: "f32" });
	expect(first(["f32", "q8", "q8a8", "i8"])).toEqual({ cpu: "i8", webgpu: "q8", wasm: "f32" });
});

test("behind it come formats that take less memory, each less than the one before, and none that was not offered", () => {
	expect(weightChoice(["f32"])).toEqual({ cpu: ["f32"], webgpu: ["f32"], wasm: ["f32"] });
	expect(weightChoice(["f32", "q8"])).toEqual({
		cpu: ["f32", "q8"],
		webgpu: ["q8"],
		wasm: ["f32", "q8"],
	});
	expect(weightChoice(["f32", "q8", "q8a8", "i8", "q4"])).toEqual({
		cpu: ["i8", "q4"],
		webgpu: ["q4"],
		wasm: ["f32", "i8", "q4"],
	});
	expect(weightChoice(["f32", "i8"])).toEqual({ cpu: ["i8"], webgpu: ["f32"], wasm: ["f32", "i8"] });
});
