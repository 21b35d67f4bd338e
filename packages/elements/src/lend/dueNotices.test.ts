import { expect, test } from "vitest";
import { dueNotices, type NoticeFacts, quietMs } from "./dueNotices.ts";

const now = Date.UTC(2026, 10, 22);
const day = 86_400_000;
const calm: NoticeFacts = {
	freeBytes: 4e9,
	delegationEnds: now + 20 * day,
	discarded: false,
	phone: false,
	lends: true,
};

test("nothing is said to a volunteer whom nothing needs", () => {
	expect(dueNotices(calm, {}, now)).toEqual([]);
	expect(dueNotices({ ...calm, freeBytes: undefined, delegationEnds: undefined }, {}, now)).toEqual([]);
	// What has run out already needs no haste.
	expect(dueNotices({ ...calm, delegationEnds: now - 1 }, {}, now)).toEqual([]);
});

test("each need is said when it comes, never more than two at once, and not again while it has been read", () => {
	const needy: NoticeFacts = { ...calm, freeBytes: 5e6, delegationEnds: now + day, phone: true };
	expect(dueNotices(needy, {}, now)).toEqual(["delegation", "storageFull"]);
	const read = { delegation: now + quietMs.delegation, storageFull: now + quietMs.storageFull };
	expect(dueNotices(needy, read, now)).toEqual(["phone"]);
	// The delegation has run out by then.
	expect(dueNotices(needy, read, now + quietMs.delegation)).toEqual(["phone"]);
	expect(dueNotices({ ...needy, delegationEnds: now + 3 * day }, read, now + quietMs.delegation)).toEqual([
		"delegation",
		"phone",
	]);
});

test("a page that was thrown away says so until it lends again", () => {
	expect(dueNotices({ ...calm, discarded: true, lends: false }, {}, now)).toEqual(["discarded"]);
	expect(dueNotices({ ...calm, discarded: true }, {}, now)).toEqual([]);
});
