// Small swarms and models for this room's tests; not part of its face.
import type { Directory, Member } from "@tabmesh/directory";
import type { ModelRef } from "@tabmesh/model";
import type { HeldSpan, Manifest, MeasuredLink, Span } from "@tabmesh/wire";

/** A model of `layers` equal layers of 1,000 weights, with an embedding and a head of `edge` weights each. */
export function fixtureModel(layers: number, edge = 1000): ModelRef {
	const names = ["embed", ...Array.from({ length: layers }, (_, i) => `layer.${i}`), "head"];
	const manifest = {
		format: "tabmesh-model/1",
		config: {
			architecture: "llama",
			layers,
			hiddenSize: 10,
			feedForwardSize: 20,
			heads: 2,
			keyValueHeads: 2,
			headSize: 5,
			vocabularySize: 100,
			contextLength: 10,
			normEpsilon: 1e-5,
			rope: { layout: "half", theta: 10_000 },
			tiedHead: false,
		},
		boundary: "f16",
		tokenizer: { eos: [] },
		tensors: names.map((name) => ({
			name,
			type: "F32",
			shape: [1, name.startsWith("layer") ? 1000 : edge],
			bytes: 4 * (name.startsWith("layer") ? 1000 : edge),
			chunks: [new Uint8Array(32)],
		})),
		parts: names.map((name) => ({ name, tensors: [name] })),
	} satisfies Manifest;
	return { id: "bafyfixture", manifest };
}

export interface FixtureLender {
	peer: string;
	joined?: number;
	memoryBytes?: number;
	bytesPerMs?: number;
	streams?: number;
	held?: Span;
	ready?: boolean;
	numericsClass?: string;
	links?: MeasuredLink[];
}

/** A member that lends for {@link fixtureModel}. */
export function fixtureMember(lender: FixtureLender): Member {
	const spans: HeldSpan[] = lender.held
		? [{ model: "bafyfixture", ...lender.held, ready: lender.ready ?? true, msPerToken: 0 }]
		: [];
	return {
		peer: lender.peer,
		announced: 0,
		rooms: ["public"],
		majors: [1, 1],
		kind: "page",
		joined: lender.joined ?? 0,
		lends: {
			numericsClass: lender.numericsClass ?? "ort1/wasm/x64/f32/f32",
			memoryBytes: lender.memoryBytes ?? 1e9,
			freeBytes: lender.memoryBytes ?? 1e9,
			bytesPerMs: lender.bytesPerMs ?? 1000,
			models: ["bafyfixture"],
			spans,
			streams: lender.streams ?? 0,
			...(lender.links ? { links: lender.links } : {}),
		},
	};
}

/** A directory that shows `members` until it is told otherwise. */
export class FixtureDirectory
	extends EventTarget
	implements Pick<Directory, "members" | "addEventListener" | "removeEventListener">
{
	#members: readonly Member[];

	constructor(members: readonly Member[]) {
		super();
		this.#members = members;
	}

	get members(): readonly Member[] {
		return this.#members;
	}

	set members(members: readonly Member[]) {
		this.#members = members;
		this.dispatchEvent(new Event("change"));
	}
}
