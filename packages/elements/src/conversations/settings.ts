import type { GenerateOptions } from "@tabmesh/client";

/** How a person wants to be answered; what is left out is the network's own default. */
export interface AskSettings {
	/** Id of the model. */
	readonly model?: string;
	/** Stands before every conversation with a model that chats. */
	readonly system?: string;
	readonly temperature?: number;
	readonly topP?: number;
	readonly topK?: number;
	readonly repetitionPenalty?: number;
	readonly maxTokens?: number;
	readonly seed?: number;
}

/** A number that a person may set. */
interface SettableNumber {
	readonly least: number;
	readonly most: number;
	readonly step: number | "any";
}

/** What the wire accepts (`samplingSchema`), as far as it makes sense to a person. */
export const settableNumbers = {
	temperature: { least: 0, most: 2, step: 0.1 },
	topP: { least: 0.05, most: 1, step: 0.05 },
	topK: { least: 0, most: 1_000, step: 1 },
	repetitionPenalty: { least: 1, most: 2, step: 0.05 },
	maxTokens: { least: 1, most: 4_096, step: 1 },
	seed: { least: 0, most: 0xffff_ffff, step: 1 },
} as const satisfies Partial<Record<keyof AskSettings, SettableNumber>>;
export type SettableName = keyof typeof settableNumbers;

const systemLength = 4_000;

/** Whatever was kept, as settings: what no control could have set is left out. */
export function readSettings(kept: unknown): AskSettings {
	if (typeof kept !== "object" || kept === null) return {};
	const given = kept as Record<string, unknown>;
	const settings: Record<string, unknown> = {};
	for (const [name, { least, most, step }] of Object.entries(settableNumbers)) {
		const value = given[name];
		if (typeof value !== "number" || !(value >= least && value <= most)) continue;
		if (step === 1 && !Number.isInteger(value)) continue;
		settings[name] = value;
	}
	if (typeof given.model === "string") settings.model = given.model;
	if (typeof given.system === "string" && given.system.trim() !== "")
		settings.system = given.system.slice(0, systemLength);
	return settings;
}

/** What a question is asked with. */
export function optionsOf({ model: _, system: __, ...numbers }: AskSettings): Partial<GenerateOptions> {
	return numbers;
}
