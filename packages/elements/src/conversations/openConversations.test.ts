import "fake-indexeddb/auto";
import { IDBFactory } from "fake-indexeddb";
import { beforeEach, expect, it, vi } from "vitest";
import type { KeptTurn } from "./conversationStore.ts";
import { openConversations } from "./openConversations.ts";

beforeEach(() => {
	globalThis.indexedDB = new IDBFactory();
	vi.useRealTimers();
});

let created = 0;
const turn = (id: string, conversation = "one", rest: Partial<KeptTurn> = {}): KeptTurn => ({
	id,
	conversation,
	parent: undefined,
	createdAt: ++created,
	status: "done",
	prompt: `prompt of ${id}`,
	text: `text of ${id}`,
	...rest,
});

it("keeps what several tabs write to the same conversation at the same time", async () => {
	const tabs = [openConversations(), openConversations(), openConversations()];
	await tabs[0]!.save(turn("first"), "A title");
	await Promise.all(
		tabs.flatMap((tab, t) => Array.from({ length: 20 }, (_, i) => tab.save(turn(`${t}.${i}`), undefined))),
	);
	await tabs[1]!.rename("one", "Another title");
	const read = await tabs[2]!.read("one");
	expect(read?.turns).toHaveLength(61);
	expect(read?.head.title).toBe("Another title");
});

it("tells other tabs what was changed", async () => {
	const [here, there] = [openConversations(), openConversations()];
	const heard: string[] = [];
	const end = there.watch((id) => heard.push(id));
	await here.save(turn("first"), "A title");
	await vi.waitFor(() => expect(heard).toEqual(["one"]));
	end();
	await here.rename("one", "x");
	expect(heard).toEqual(["one"]);
});

it("lists the newest first, and those alone in whose title or text a word occurs", async () => {
	const store = openConversations();
	await store.save(turn("a", "one"), "Maps");
	await new Promise((resolve) => setTimeout(resolve, 2));
	await store.save(turn("b", "two", { text: "about the Moon" }), "Tides");
	const ids = async (search?: string) => (await store.list(search)).map(({ id }) => id);
	expect(await ids()).toEqual(["two", "one"]);
	expect(await ids("moon")).toEqual(["two"]);
	expect(await ids(" MAPS ")).toEqual(["one"]);
	expect(await ids("sun")).toEqual([]);
});

it("brings a deleted conversation back, for a minute; then nothing of it is left", async () => {
	const store = openConversations();
	await store.save(turn("a"), "Maps");
	await store.remove("one");
	expect(await store.list()).toEqual([]);
	expect(await store.read("one")).toBeUndefined();
	await store.restore("one");
	expect((await store.read("one"))?.turns).toHaveLength(1);
	await store.remove("one");
	const later = Date.now() + 61_000;
	vi.spyOn(Date, "now").mockReturnValue(later);
	await store.list();
	await store.restore("one");
	expect(await store.read("one")).toBeUndefined();
	vi.restoreAllMocks();
});

it("keeps nothing of an answer whose conversation was deleted meanwhile, and says so", async () => {
	const store = openConversations();
	expect(await store.save(turn("a"), "Maps")).toBe(true);
	await store.remove("one");
	expect(await store.save(turn("b"), undefined)).toBe(false);
	expect(await store.save(turn("c", "never"), undefined)).toBe(false);
});

it("gives a turn whose tab is gone as stopped", async () => {
	const store = openConversations();
	await store.save(turn("a", "one", { status: "running" }), "Maps");
	expect((await store.read("one"))?.turns[0]?.status).toBe("stopped");
});

it("says in a sentence that the device is full, or that the browser keeps nothing", async () => {
	const store = openConversations();
	const put = vi.spyOn(IDBObjectStore.prototype, "put").mockImplementation(() => {
		throw new DOMException("full", "QuotaExceededError");
	});
	await expect(store.save(turn("a"), "Maps")).rejects.toMatchObject({
		code: "StorageQuota",
		shortMessage: "This device has no room left to keep this conversation.",
	});
	put.mockRestore();
	expect(await store.list()).toEqual([]);
	vi.spyOn(globalThis.indexedDB, "open").mockImplementation(() => {
		throw new DOMException("denied", "SecurityError");
	});
	await expect(store.list()).rejects.toMatchObject({ code: "ConversationsUnavailable" });
	vi.restoreAllMocks();
});

it("keeps the settings", async () => {
	await openConversations().saveSettings({ temperature: 0.3 });
	expect(await openConversations().settings()).toEqual({ temperature: 0.3 });
});
