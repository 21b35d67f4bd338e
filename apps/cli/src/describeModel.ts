import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { dirname, join } from "node:path";
import { createEnvelopeSigner, createEnvelopeVerifier, createIdentity, openIdentity } from "@tabmesh/dauth";
import {
	boundaryOf,
	createTokenizer,
	gateTexts,
	type ModelSource,
	measureQuality,
	modelId,
	type PublishedModel,
	publishModel,
	sourceOfModel,
	weightFormats,
} from "@tabmesh/model";
import { decodeCbor, encodeCbor, type Gate, gateSchema, limits, type Manifest } from "@tabmesh/wire";
import { repositoryRoot } from "./buildSite.ts";
import { progressBar } from "./progressBar.ts";

/** A model as a network hands it out. */
export interface DescribedModel {
	readonly published: PublishedModel;
	/** What its gate record says. */
	readonly gate: Gate;
	/** The record, signed: an envelope of the domain `gate`. */
	readonly gateBytes: Uint8Array;
}

export interface DescribeModelOptions {
	readonly name: string;
	/** Records and the publisher's key are kept there. */
	readonly cacheDir: string;
	readonly signal: AbortSignal;
}

/**
 * Hashes a model, and finds out which weight formats are good enough for it and whether its hidden states fit into binary16:
 * from a record that was made before (here, or by this project for its catalogue), else by running the model once over a short
 * text in every format, layer by layer.
 *
 * @throws ModelFileError, ModelSourceError, EngineUnavailableError; the signal's reason
 */
export async function describeModel(
	source: ModelSource,
	options: DescribeModelOptions,
): Promise<DescribedModel> {
	const { signal, cacheDir, name } = options;
	const draft = await withBar(`Checking ${name}`, (update) =>
		publishModel(source, {
			signal,
			onProgress: ({ hashedBytes, totalBytes }) => update(hashedBytes, totalBytes),
		}),
	);
	// A record names the model with its boundary, which only the record tells: it is kept under the id of the draft.
	const file = `${draft.id}.cbor`;
	for (const folder of [join(repositoryRoot, "models", "gates"), join(cacheDir, "gates")]) {
		const gateBytes = await readFile(join(folder, file)).catch(() => undefined);
		const gate = gateBytes && (await openGate(gateBytes));
		if (!gateBytes || !gate) continue;
		const published = await withBoundary(draft, boundaryOf(gate));
		if (published.id === gate.model) return { published, gate, gateBytes };
	}
	const measured = await measure(draft, source, options);
	const published = await withBoundary(draft, boundaryOf(measured));
	const gate: Gate = { model: published.id, ...measured };
	const gateBytes = await signGate(gate, cacheDir);
	await keep(join(cacheDir, "gates", file), gateBytes);
	return { published, gate, gateBytes };
}

/** Runs the model. */
async function measure(
	published: PublishedModel,
	source: ModelSource,
	{ name, signal }: DescribeModelOptions,
): Promise<Omit<Gate, "model">> {
	const { manifest } = published;
	// A relay that serves a model whose record is here never loads an engine.
	const { createEngine } = await import("@tabmesh/inference");
	const shards = sourceOfModel(source);
	const entry = manifest.tensors.find((tensor) => tensor.name === "tokenizer.json")!;
	const tokenizer = createTokenizer(await shards.read(published, entry, { signal }), manifest);
	const texts = gateTexts.map((text) => tokenizer.encodePrompt(text).slice(0, manifest.config.contextLength));
	await using opened = new AsyncDisposableStack();
	const engines = await Promise.all(
		weightFormats.map(async (weights) => {
			const memoryBytes = Number.MAX_SAFE_INTEGER;
			const engine = await createEngine({ memoryBytes, weights, threads: availableParallelism() });
			opened.defer(() => engine.close());
			return [weights, engine] as const;
		}),
	);
	// One layer is about as much work as another: shares of the bytes say how far it is.
	const bytes = manifest.tensors.reduce((sum, tensor) => sum + tensor.bytes, 0);
	const { positions, agreed, largestResidual } = await withBar(`Trying weight formats of ${name}`, (update) =>
		measureQuality(published, shards, texts, {
			engines: Object.fromEntries(engines) as Record<(typeof weightFormats)[number], (typeof engines)[0][1]>,
			signal,
			onProgress: ({ doneSpans, totalSpans }) => update(Math.round((bytes * doneSpans) / totalSpans), bytes),
		}),
	);
	const formats = weightFormats.map((weights) => ({ weights, agreed: agreed[weights] ?? 0 }));
	return { positions, formats, largestResidual };
}

/** The same content with another boundary is another model. */
async function withBoundary(
	published: PublishedModel,
	boundary: Manifest["boundary"],
): Promise<PublishedModel> {
	if (published.manifest.boundary === boundary) return published;
	const manifest: Manifest = { ...published.manifest, boundary };
	const id = await modelId(manifest);
	return {
		id,
		manifest,
		manifestBytes: encodeCbor(manifest),
		origin: { ...published.origin, model: id },
	};
}

/** A record that was kept; broken ones count as none. */
async function openGate(bytes: Uint8Array): Promise<Gate | undefined> {
	try {
		const verifier = createEnvelopeVerifier({ maxAgeMs: Number.POSITIVE_INFINITY });
		const { payload } = await verifier.open(bytes, "gate");
		return decodeCbor(gateSchema, payload, limits.gateBytes);
	} catch {
		return undefined;
	}
}

async function signGate(gate: Gate, cacheDir: string): Promise<Uint8Array> {
	// Where nothing can be kept, a key of the moment signs: what counts is that the record is whole.
	const identity = await openIdentity({ file: join(cacheDir, "keys", "publisher.pem") }).catch(() =>
		createIdentity(),
	);
	try {
		return await createEnvelopeSigner(identity).seal("gate", encodeCbor(gate));
	} finally {
		await identity.release();
	}
}

/** A record that cannot be kept is made again the next time. */
async function keep(path: string, bytes: Uint8Array): Promise<void> {
	const draft = `${path}.${process.pid}`;
	try {
		await mkdir(dirname(path), { recursive: true });
		await writeFile(draft, bytes);
		await rename(draft, path);
	} catch {
		// A full or read-only disk.
	}
}

async function withBar<T>(
	title: string,
	run: (update: (doneBytes: number, totalBytes: number) => void) => Promise<T>,
): Promise<T> {
	const bar = progressBar(title);
	let done = false;
	try {
		const result = await run((doneBytes, totalBytes) => bar.update(doneBytes, totalBytes));
		done = true;
		return result;
	} finally {
		bar.end(done);
	}
}
