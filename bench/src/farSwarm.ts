import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { homedir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { connect, type Tabmesh } from "@tabmesh/client";
import type { WeightFormat } from "@tabmesh/model";
import { fetchCatalogModel } from "@tabmesh/model/node";
import { type LatencyLab, startLatencyLab } from "../../e2e/lab/latencyLab.ts";
import { ensureCoturn } from "../../e2e/setup/ensureCoturn.ts";
import { within } from "./deadline.ts";
import { startNetwork } from "./network.ts";
import type { OpenThings } from "./openThings.ts";
import { note } from "./report.ts";
import { tinyLlamaFile } from "./tinyLlama.ts";

/** The site may have to be built, and models to be fetched. */
const startMs = 300_000;

/** What a headless lender of the lab is told. */
export interface FarPeer {
	readonly url: string;
	/** Path of the model, and of one that drafts for it. */
	readonly file: string;
	readonly draftFile: string | undefined;
	readonly from: number;
	readonly to: number;
	readonly weights: WeightFormat;
	readonly threads: number;
	readonly iceServers: RTCIceServer[];
}

/** Headless lenders that hold TinyLlama together and reach each other through the latency lab only. */
export interface FarSwarm {
	readonly lab: LatencyLab;
	/** Of the asker, in this process. */
	readonly mesh: Tabmesh;
	/** Whether a small model guesses from now on, or what stands in the text. */
	draftWithModel(does: boolean): Promise<void>;
}

/** Starts everything without delay: a lender for each span, whose first has stories15M to draft with. */
export async function startFarSwarm(
	open: OpenThings,
	bounds: readonly number[],
	{ weights, threads }: { weights: WeightFormat; threads: number },
): Promise<FarSwarm> {
	const coturn = ensureCoturn();
	if (coturn === undefined)
		throw new Error(
			"The latency lab needs coturn: install it, or name its turnserver in TABMESH_TURNSERVER.",
		);
	const lab = open.add(await startLatencyLab(coturn), (lab) => lab.stop());
	const stages = bounds.length - 1;
	const network = open.add(
		await within(
			startMs,
			"The start of the network",
			startNetwork(
				...[
					"--model",
					"tinyllama-1.1b-chat",
					"--min-stages",
					String(stages),
					"--ice-server",
					lab.iceServerUri,
				],
			),
		),
		(network) => network.stop(),
	);
	const cacheDir = join(process.env.TABMESH_CACHE ?? join(homedir(), ".cache", "tabmesh"), "models");
	const folder = await fetchCatalogModel("stories15m", { cacheDir });
	const file = await tinyLlamaFile();
	const { urls, username, credential } = lab.iceServer;
	const lenders: ChildProcess[] = [];
	for (const [i, to] of bounds.slice(1).entries()) {
		const told: FarPeer = {
			url: network.url,
			file,
			draftFile: i === 0 ? folder : undefined,
			from: bounds[i]!,
			to,
			weights,
			threads,
			iceServers: [{ urls, username, credential }],
		};
		const child = fork(fileURLToPath(new URL("farPeer.ts", import.meta.url)), [JSON.stringify(told)]);
		open.add(child, (child) => void child.kill());
		await within(startMs, "Loading a span", answerOf(child));
		lenders.push(child);
		note(`a lender serves layers ${told.from} to ${to - 1}`);
	}
	const mesh = open.add(await connect({ relay: network.url }), (mesh) => mesh.close());
	while (!mesh.models[0]?.coverage.complete) {
		await new Promise((resolve) => mesh.addEventListener("swarm", resolve, { once: true }));
	}
	return {
		lab,
		mesh,
		async draftWithModel(does) {
			const answer = answerOf(lenders[0]!);
			lenders[0]!.send(does);
			await answer;
		},
	};
}

async function answerOf(child: ChildProcess): Promise<void> {
	const [message] = await Promise.race([once(child, "message"), once(child, "exit")]);
	if (typeof message !== "string") throw new Error(`A lender ended with ${message}.`);
}
