import type { LenderView } from "@tabmesh/client";
import { OutOfMemoryBudgetError } from "@tabmesh/wire";
import { expect, test } from "vitest";
import { stateKey, stateLine, stateRecord } from "./lenderLines.ts";

const view: LenderView = {
	phase: "joining",
	model: undefined,
	span: undefined,
	growingTo: undefined,
	backend: undefined,
	threads: 2,
	bitsPerWeight: undefined,
	sparing: false,
	draftsWith: undefined,
	loading: undefined,
	memoryBytes: 1e9,
	usedBytes: 0,
	rest: undefined,
	absence: undefined,
	streams: 0,
	routes: [],
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
	expect(stateLine({ ...sparing, draftsWith: "stories15m" })).toBe(
		"serving layer 6 of the model in 8 bits with 2 threads (cpu), guessing with stories15m",
	);
	const growing = {
		...view,
		phase: "serving",
		span,
		growingTo: { ...span, to: 12 },
		backend: "cpu",
	} as const;
	expect(stateLine(growing)).toBe(
		"serving layers 3–5 of the model with 2 threads (cpu), on the way to layers 3–12",
	);
	expect(stateKey(growing)).not.toBe(stateKey({ ...growing, growingTo: undefined }));
	expect(stateLine({ ...view, phase: "failed", error })).toBe("failed: No span fits into 64 MB.");
});

test("what is served is part of the line: streams while there are any, what they came to afterwards", () => {
	const serving = { ...view, phase: "serving", span, backend: "cpu" } as const;
	expect(stateLine({ ...serving, streams: 2 })).toMatch(/ \(cpu\), 2 streams$/);
	expect(stateLine({ ...serving, tokensServed: 24, msPerToken: 1.26 })).toMatch(
		/, 24 tokens so far, 1\.3 ms each$/,
	);
	expect(stateLine({ ...view, phase: "paused", streams: 1 })).toBe("paused, 1 stream");
});

test("figures that move all the time are no change, a stream is one", () => {
	const serving = { ...view, phase: "serving", span, backend: "cpu" } as const;
	expect(stateKey({ ...serving, tokensServed: 9, usedBytes: 9 })).toBe(stateKey(serving));
	expect(stateKey({ ...serving, streams: 1 })).not.toBe(stateKey(serving));
});

test("programs get the same in words and numbers that JSON keeps", () => {
	const record = stateRecord({ ...view, phase: "serving", span, backend: "cpu", bitsPerWeight: 8 });
	expect(JSON.parse(JSON.stringify(record))).toEqual(record);
	expect(record).toMatchObject({
		phase: "serving",
		span: [2, 5],
		backend: "cpu",
		threads: 2,
		bitsPerWeight: 8,
	});
});
