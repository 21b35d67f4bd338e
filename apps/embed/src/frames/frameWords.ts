import type { Refusal } from "./clickGuard.ts";

/** What a frame says around its panel. */
export interface FrameWords {
	/** @param site - the page around it */
	readonly around: Readonly<Record<"chat" | "lend", (site: string) => string>>;
	readonly ownWindow: string;
	readonly refused: Readonly<Record<Refusal, (site: string) => readonly [heading: string, text: string]>>;
}

const english: FrameWords = {
	around: {
		chat: (site) => `Tabmesh, shown on ${site}, which cannot read what you write here.`,
		lend: (site) =>
			`Tabmesh, shown on ${site}, which can press nothing here and learns only whether you lend.`,
	},
	ownWindow: "Open in a window",
	refused: {
		script: () => ["That was no click of yours", "A program pressed this button. Nothing was started."],
		covered: (site) => [
			"This panel was not in plain sight",
			`Something on ${site} may have covered it or cut it off. When you see all of it, wait a second and press again.`,
		],
		hurried: () => [
			"That was very quick",
			"The panel may have moved below your pointer. Press again if you meant it.",
		],
		unsure: (site) => [
			"This browser cannot tell what lies over a panel",
			`So that ${site} cannot press for you, this is done in a window of Tabmesh.`,
		],
	},
};

const german: FrameWords = {
	around: {
		chat: (site) => `Tabmesh, gezeigt auf ${site}, das nicht lesen kann, was du hier schreibst.`,
		lend: (site) =>
			`Tabmesh, gezeigt auf ${site}, das hier nichts drücken kann und nur erfährt, ob du leihst.`,
	},
	ownWindow: "In einem Fenster öffnen",
	refused: {
		script: () => [
			"Das war nicht dein Klick",
			"Ein Programm hat diesen Knopf gedrückt. Nichts wurde gestartet.",
		],
		covered: (site) => [
			"Dieses Feld war nicht frei zu sehen",
			`Etwas auf ${site} hat es vielleicht verdeckt oder abgeschnitten. Wenn du es ganz siehst, warte eine Sekunde und drück noch einmal.`,
		],
		hurried: () => [
			"Das war sehr schnell",
			"Vielleicht hat sich das Feld unter deinen Zeiger geschoben. Drück noch einmal, wenn du es so wolltest.",
		],
		unsure: (site) => [
			"Dieser Browser weiß nicht, was über einem Feld liegt",
			`Damit ${site} nicht für dich drücken kann, geschieht das in einem Fenster von Tabmesh.`,
		],
	},
};

/** The words of the language that this frame has now. */
export function frameWords(): FrameWords {
	return /^de\b/i.test(document.documentElement.lang) ? german : english;
}
