import type { Member } from "@tabmesh/directory";
import { deal } from "@tabmesh/pipeline";
import type { NetworkModel } from "./networkModel.ts";
import type { ModelView } from "./tabmesh.ts";

/** How much of `model` the swarm holds, as people see it. */
export function modelView(model: NetworkModel, members: readonly Member[], minStages: number): ModelView {
	const { layers, contextLength } = model.manifest.config;
	const holders = new Array<number>(layers).fill(0);
	let loading = 0;
	for (const member of members) {
		for (const span of member.lends?.spans ?? []) {
			if (span.model !== model.id) continue;
			if (!span.ready) loading++;
			else for (let layer = span.from; layer < Math.min(span.to, layers); layer++) holders[layer]!++;
		}
	}
	const complete = holders.every((count) => count > 0);
	return {
		id: model.id,
		name: model.name,
		license: model.license,
		layers,
		contextLength,
		sourceBytes: model.sourceBytes,
		loadedBytes: model.loadedBytes,
		chats: model.manifest.tokenizer.chatTemplate !== undefined,
		coverage: {
			holders,
			complete,
			// What is held fits: a deal of hundreds of peers takes tens of milliseconds, and a page asks after every change.
			missingBytes: complete ? 0 : deal(members, model, { minStages }).missingBytes,
			loading,
		},
	};
}
