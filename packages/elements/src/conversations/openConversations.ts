import { StorageQuotaError, TabmeshError } from "@tabmesh/wire";
import { type DBSchema, type IDBPDatabase, openDB } from "idb";
import type { ConversationHead, ConversationStore, KeptTurn } from "./conversationStore.ts";

interface KeptHead extends ConversationHead {
	/** When it was taken off the list. */
	readonly deletedAt?: number;
}

interface ConversationDatabase extends DBSchema {
	conversations: { key: string; value: KeptHead; indexes: { updatedAt: number } };
	turns: { key: string; value: KeptTurn; indexes: { conversation: string } };
	settings: { key: string; value: unknown };
}

type Database = IDBPDatabase<ConversationDatabase>;

const databaseName = "tabmesh-conversations";
/** What each version added stands in `upgrade`; records themselves only ever gain fields. */
const version = 1;

/** How long a deleted conversation can come back. */
const undoMs = 60_000;

const settingsKey = "asking";
const lockOf = (turn: string) => `tabmesh-turn-${turn}`;

/** Thrown when this browser keeps no conversations: a private window, or data of sites blocked. */
class ConversationsUnavailableError extends TabmeshError {
	override name = "ConversationsUnavailableError";
	override readonly code = "ConversationsUnavailable";
}

/** What a browser's storage says, as a person should read it. */
function told(cause: unknown): TabmeshError {
	if (cause instanceof DOMException && cause.name === "QuotaExceededError")
		return new StorageQuotaError("This device has no room left to keep this conversation.", {
			cause,
			metaMessages: [
				"It stays here until this tab is closed.",
				"Delete older conversations, or free storage.",
			],
		});
	return new ConversationsUnavailableError("This browser does not keep the conversation.", {
		cause,
		metaMessages: [
			"It stays here until this tab is closed.",
			"Private windows keep nothing; else allow this site to keep data.",
		],
	});
}

/**
 * The conversations of this origin, in IndexedDB. Nothing is opened before it is asked for something.
 *
 * @throws all its methods: StorageQuotaError where the device is full, another typed error where the browser keeps nothing
 */
export function openConversations(): ConversationStore {
	const channel = typeof BroadcastChannel === "undefined" ? undefined : new BroadcastChannel(databaseName);
	const listeners = new Set<(id: string) => void>();
	channel?.addEventListener("message", ({ data }) => {
		if (typeof data === "string") for (const listener of listeners) listener(data);
	});
	const tell = (id: string) => {
		channel?.postMessage(id);
		for (const listener of listeners) listener(id);
	};

	/** One short connection for each use, so that this page never blocks another's upgrade. */
	const use = async <T>(work: (database: Database) => Promise<T>): Promise<T> => {
		try {
			const database = await openDB<ConversationDatabase>(databaseName, version, {
				upgrade(fresh, oldVersion) {
					if (oldVersion < 1) {
						fresh.createObjectStore("conversations", { keyPath: "id" }).createIndex("updatedAt", "updatedAt");
						fresh.createObjectStore("turns", { keyPath: "id" }).createIndex("conversation", "conversation");
						fresh.createObjectStore("settings");
					}
				},
			});
			try {
				return await work(database);
			} finally {
				database.close();
			}
		} catch (cause) {
			throw told(cause);
		}
	};

	/** Changes a conversation that is there, in one transaction. */
	const change = async (id: string, next: (head: KeptHead) => KeptHead): Promise<void> => {
		await use(async (database) => {
			const transaction = database.transaction("conversations", "readwrite");
			const head = await transaction.store.get(id);
			if (head) await transaction.store.put(next(head));
			await transaction.done;
		});
		tell(id);
	};

	/** Those that nobody can bring back any more go, with their turns. */
	const purge = async (database: Database): Promise<void> => {
		const transaction = database.transaction(["conversations", "turns"], "readwrite");
		for await (const cursor of transaction.objectStore("conversations")) {
			const { id, deletedAt } = cursor.value;
			if (deletedAt === undefined || Date.now() - deletedAt < undoMs) continue;
			for (const turn of await transaction.objectStore("turns").index("conversation").getAllKeys(id))
				await transaction.objectStore("turns").delete(turn);
			await cursor.delete();
		}
		await transaction.done;
	};

	return {
		list: (search = "") =>
			use(async (database) => {
				await purge(database);
				const heads = (await database.getAllFromIndex("conversations", "updatedAt"))
					.filter(({ deletedAt }) => deletedAt === undefined)
					.reverse();
				const wanted = search.trim().toLocaleLowerCase();
				if (wanted === "") return heads;
				const found = new Set<string>();
				for await (const { value } of database.transaction("turns").store)
					if (`${value.prompt}\n${value.text}`.toLocaleLowerCase().includes(wanted))
						found.add(value.conversation);
				return heads.filter(({ id, title }) => found.has(id) || title.toLocaleLowerCase().includes(wanted));
			}),
		read: (id) =>
			use(async (database) => {
				const head = await database.get("conversations", id);
				if (head === undefined || head.deletedAt !== undefined) return undefined;
				const turns = await database.getAllFromIndex("turns", "conversation", id);
				const held = new Set((await globalThis.navigator?.locks?.query())?.held?.map(({ name }) => name));
				return {
					head,
					turns: turns.map((turn) =>
						turn.status === "running" && !held.has(lockOf(turn.id)) ? { ...turn, status: "stopped" } : turn,
					),
				};
			}),
		async save(turn, title) {
			const isKept = await use(async (database) => {
				const transaction = database.transaction(["conversations", "turns"], "readwrite");
				const heads = transaction.objectStore("conversations");
				const head = await heads.get(turn.conversation);
				const isGone = head === undefined ? title === undefined : head.deletedAt !== undefined;
				if (!isGone) {
					await transaction.objectStore("turns").put(turn);
					const { conversation: id, createdAt } = turn;
					await heads.put({
						id,
						title: title ?? "",
						createdAt,
						...head,
						leaf: turn.id,
						updatedAt: Date.now(),
					});
				}
				await transaction.done;
				return !isGone;
			});
			if (isKept) tell(turn.conversation);
			return isKept;
		},
		hold(turn, done) {
			globalThis.navigator?.locks?.request(lockOf(turn), () => done).catch(() => {});
		},
		select: (id, leaf) => change(id, (head) => ({ ...head, leaf })),
		rename: (id, title) => change(id, (head) => ({ ...head, title })),
		remove: (id) => change(id, (head) => ({ ...head, deletedAt: Date.now() })),
		restore: (id) => change(id, ({ deletedAt: _, ...head }) => head),
		settings: () => use((database) => database.get("settings", settingsKey)),
		saveSettings: (settings) =>
			use(async (database) => {
				await database.put("settings", settings, settingsKey);
			}),
		watch(onChange) {
			listeners.add(onChange);
			return () => listeners.delete(onChange);
		},
	};
}
