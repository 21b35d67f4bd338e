import { setTimeout as sleep } from "node:timers/promises";
import type { ModelView, Tabmesh } from "@tabmesh/client";
import { ModelNotFoundError } from "@tabmesh/wire";
import { type Entry, enterNetwork } from "../enterNetwork.ts";

/** `tabmesh explain`: what the command line gave. */
export interface ExplainOptions extends Entry {
	/** Model id or name; the network's default if absent. */
	model?: string;
	/** Lines for programs. */
	json?: boolean;
}

/** The model's description and the swarm's come from the relay at once; whoever is not known by then is not here. */
const lookMs = 3_000;
const everyMs = 50;

/**
 * Says of every lender of a model what it should hold by the swarm's plan, and why.
 *
 * @returns the exit status: 0
 * @throws ModelNotFoundError, and what `connect` throws
 */
export async function explain(
	options: ExplainOptions,
	print: (line: string) => void,
	signal: AbortSignal,
): Promise<number> {
	const mesh = await enterNetwork(options, signal);
	try {
		const model = await look(mesh, options.model, signal);
		const reasons = mesh.explain(model.id);
		if (options.json) {
			for (const { peer, text } of reasons) print(JSON.stringify({ model: model.id, peer, text }));
			return 0;
		}
		const lenders = reasons.length === 1 ? "1 lender" : `${reasons.length || "no"} lenders`;
		print(
			`${model.name}: ${model.layers} layers, ${lenders}${model.coverage.complete ? "" : ", not whole yet"}`,
		);
		for (const { peer, text } of reasons) print(`…${peer.slice(-5)}  ${text}`);
		return 0;
	} finally {
		await mesh.close();
	}
}

async function look(mesh: Tabmesh, wanted: string | undefined, signal: AbortSignal): Promise<ModelView> {
	const started = performance.now();
	for (;;) {
		const { models } = mesh;
		const model =
			wanted === undefined ? models[0] : models.find(({ id, name }) => id === wanted || name === wanted);
		const isLate = performance.now() - started > lookMs;
		if (model && (isLate || model.coverage.complete)) return model;
		if (isLate) {
			const names = models.map(({ name }) => name).join(", ");
			throw new ModelNotFoundError(
				wanted === undefined
					? "This network offers no model that can be read."
					: `This network does not offer the model "${wanted.slice(0, 100)}".`,
				{ metaMessages: names === "" ? [] : [`It offers: ${names}.`] },
			);
		}
		await sleep(everyMs, undefined, { signal });
	}
}
