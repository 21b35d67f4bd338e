import fc from "fast-check";
import { expect, test } from "vitest";
import { StopStrings } from "./stopStrings.ts";

const letters = fc.string({ unit: fc.constantFrom("a", "b", "c"), maxLength: 40 });
const stops = fc.uniqueArray(
	fc.string({ unit: fc.constantFrom("a", "b", "c"), minLength: 1, maxLength: 4 }),
	{ maxLength: 3 },
);

test("however a text is cut into pieces, exactly what stands before the stop string that is complete first is shown", () => {
	fc.assert(
		fc.property(
			letters,
			stops,
			fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 1 }),
			(text, stops, sizes) => {
				const watcher = new StopStrings(stops);
				let shown = "";
				for (let at = 0, i = 0; at < text.length && !watcher.hit; i++) {
					const size = sizes[i % sizes.length]!;
					shown += watcher.push(text.slice(at, at + size)).shown;
					// Nothing shown so far may contain a stop string.
					expect(stops.some((stop) => shown.includes(stop))).toBe(false);
					at += size;
				}
				if (!watcher.hit) shown += watcher.flush();
				const complete = stops
					.map((stop) => ({ start: text.indexOf(stop), end: text.indexOf(stop) + stop.length }))
					.filter(({ start }) => start >= 0)
					.sort((a, b) => a.end - b.end || a.start - b.start);
				expect(watcher.hit).toBe(complete.length > 0);
				expect(shown).toBe(text.slice(0, complete[0]?.start ?? text.length));
			},
		),
		{ numRuns: 5_000 },
	);
});

test("text that only begins like a stop string is shown as soon as it cannot become one", () => {
	const watcher = new StopStrings(["\nUser:"]);
	expect(watcher.push("Hello\nUs").shown).toBe("Hello");
	expect(watcher.push("eful").shown).toBe("\nUseful");
	expect(watcher.push("!\nUser: hi")).toEqual({ shown: "!", stopped: true });
});
