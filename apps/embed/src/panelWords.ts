/** What an embedded panel says before its frame is there. */
export interface PanelWords {
	readonly chat: { readonly title: string; readonly offer: string; readonly start: string };
	readonly lend: { readonly title: string; readonly offer: string; readonly start: string };
	readonly from: (relay: string) => string;
	readonly noRelay: string;
}

const english: PanelWords = {
	chat: {
		title: "Tabmesh: ask the swarm",
		offer:
			"Ask a language model that lives in browser tabs. The devices that compute the answer can read along.",
		start: "Ask the swarm",
	},
	lend: {
		title: "Tabmesh: lend this tab",
		offer:
			"Lend this tab to a language model that lives in many. You choose how much, and nothing runs before you join.",
		start: "Lend this tab …",
	},
	from: (relay) => `From ${relay}. Nothing is loaded from there before.`,
	noRelay: "No relay is named.",
};

const german: PanelWords = {
	chat: {
		title: "Tabmesh: den Schwarm fragen",
		offer:
			"Frag ein Sprachmodell, das in Browser-Tabs lebt. Die Geräte, die die Antwort berechnen, können mitlesen.",
		start: "Frag den Schwarm",
	},
	lend: {
		title: "Tabmesh: diesen Tab leihen",
		offer:
			"Leih diesen Tab einem Sprachmodell, das in vielen lebt. Wie viel, bestimmst du, und vorher läuft nichts.",
		start: "Leih diesen Tab …",
	},
	from: (relay) => `Von ${relay}. Vorher wird von dort nichts geladen.`,
	noRelay: "Es ist kein Relay angegeben.",
};

/** The words for a language tag such as `de-AT`. */
export function panelWords(language: string): PanelWords {
	return /^de\b/i.test(language) ? german : english;
}
