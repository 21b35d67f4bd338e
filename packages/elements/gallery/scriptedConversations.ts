import type {
	ConversationHead,
	ConversationStore,
	KeptTurn,
} from "../src/conversations/conversationStore.ts";

/** Conversations that last as long as the page, and fail as they are told to. */
export function scriptedConversations(kept: readonly KeptTurn[], fails?: Error): ConversationStore {
	const turns = new Map(kept.map((turn) => [turn.id, turn]));
	const heads = new Map<string, ConversationHead>();
	const deleted = new Set<string>();
	const listeners = new Set<(id: string) => void>();
	const tell = (id: string) => {
		for (const listener of listeners) listener(id);
	};
	let settings: unknown;
	const put = (turn: KeptTurn, title: string) =>
		heads.set(turn.conversation, {
			id: turn.conversation,
			title,
			createdAt: turn.createdAt,
			...heads.get(turn.conversation),
			updatedAt: turn.createdAt,
			leaf: turn.id,
		});
	for (const turn of kept) put(turn, String(turn.prompt));
	const change = async (id: string, next: Partial<ConversationHead>) => {
		heads.set(id, { ...heads.get(id)!, ...next });
		tell(id);
	};
	return {
		async list(search = "") {
			const of = (id: string) => [...turns.values()].filter(({ conversation }) => conversation === id);
			return [...heads.values()].filter(
				({ id, title }) => !deleted.has(id) && `${title}${JSON.stringify(of(id))}`.includes(search),
			);
		},
		async read(id) {
			const head = heads.get(id);
			if (head === undefined || deleted.has(id)) return undefined;
			return { head, turns: [...turns.values()].filter(({ conversation }) => conversation === id) };
		},
		async save(turn, title) {
			if (fails) throw fails;
			if (deleted.has(turn.conversation)) return false;
			turns.set(turn.id, structuredClone(turn));
			put(turn, title ?? "");
			tell(turn.conversation);
			return true;
		},
		hold() {},
		select: (id, leaf) => change(id, { leaf }),
		rename: (id, title) => change(id, { title }),
		async remove(id) {
			deleted.add(id);
			tell(id);
		},
		async restore(id) {
			deleted.delete(id);
			tell(id);
		},
		settings: async () => settings,
		async saveSettings(next) {
			settings = next;
		},
		watch(onChange) {
			listeners.add(onChange);
			return () => listeners.delete(onChange);
		},
	};
}
