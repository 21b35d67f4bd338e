import type { LenderView } from "@tabmesh/client";
import { OutOfMemoryBudgetError } from "@tabmesh/wire";
import { expect, test } from "vitest";
import { stateLine } from "./lend.ts";

const view: LenderView = {
	phase: "joining",
	model: undefined,
	span: undefined,
	backend: undefined,
	threads: 2,
	bitsPerWeight: undefined,
	sparing: false,
	loading: undefined,
	memoryBytes: 1e9,
	usedBytes: 0,
	streams: 0,
	tokensServed: 0,
	msPerToken: 0,
	since: 0,
	error: undefined,
};
const span = { from: 2, to: 5, embed: false, head: false };

test("each state is one line that a person understands, with layers counted as on the pages", () => {
	expect(stateLine(view)).toBe("joining the network");
	expect(stateLine({ ...view, phase: "waiting" })).toBe("waiting: no layers need a holder yet");
	const error = new OutOfMemoryBudgetError("No span fits into 64 MB.");
	expect(stateLine({ ...view, phase: "waiting", error })).toBe("waiting: No span fits into 64 MB.");
	const loading = { phase: "fetch", loadedBytes: 0, totalBytes: 12e6 } as const;
	expect(stateLine({ ...view, phase: "loading", span, loading })).toBe(
		"fetching and compiling layers 3–5 of the model (12.0 MB)",
	);
	const last = { from: 5, to: 6, embed: false, head: true };
	expect(stateLine({ ...view, phase: "serving", span: last, backend: "cpu" })).toBe(
		"serving layer 6 of the model with 2 threads (cpu)",
	);
	const sparing = { ...view, phase: "serving", span: last, backend: "cpu", bitsPerWeight: 8 } as const;
	expect(stateLine(sparing)).toBe("serving layer 6 of the model in 8 bits with 2 threads (cpu)");
	expect(stateLine({ ...sparing, sparing: true })).toBe(
		"serving layer 6 of the model in 8 bits, since memory is short, with 2 threads (cpu)",
	);
	expect(stateLine({ ...view, phase: "failed", error })).toBe("failed: No span fits into 64 MB.");
});
