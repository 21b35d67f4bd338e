import { ModelNotFoundError, ModelSourceError } from "@tabmesh/wire";
import type { HttpFileOptions } from "../bytes/httpFile.ts";
import { httpFolder } from "../bytes/sourceFolder.ts";
import type { ModelSource } from "../format/modelSource.ts";
import { openGgufIn } from "../gguf/openGgufIn.ts";
import { openHuggingFace } from "../huggingface/huggingFaceSource.ts";

export interface OpenModelUrlOptions extends HttpFileOptions {
	/** Where `hf:owner/model` is looked up. @default "https://huggingface.co/" */
	hub?: string;
}

/** A source and where its files lie. */
export interface OpenedUrl {
	readonly source: ModelSource;
	/** What the names in `source.files` are relative to: the base URL of an origin. */
	readonly baseUrl: string;
}

const defaultHub = "https://huggingface.co/";

/**
 * Opens a model behind an address: a `.gguf` file (or one part of several), a folder with Hugging Face files, the page of a
 * model or file on a hub, or `hf:owner/model`, `hf:owner/model@revision`, `hf:owner/model/file.gguf`.
 *
 * @throws ModelNotFoundError when no model is there, ModelSourceError when it cannot be reached, ModelFileError and TokenizerError
 * when it is none that Tabmesh runs
 */
export async function openModelUrl(reference: string, options: OpenModelUrlOptions = {}): Promise<OpenedUrl> {
	const url = parseReference(reference, options.hub ?? defaultHub);
	const slash = url.pathname.lastIndexOf("/");
	const file = url.pathname.slice(slash + 1);
	const inFile = /\.(gguf|json|safetensors)$/.test(file);
	const folders = [new URL(url)];
	if (inFile) folders[0]!.pathname = url.pathname.slice(0, slash + 1);
	// The page of a model has two names; its files lie under a revision.
	else if (/^\/[^/]+\/[^/]+\/?$/.test(url.pathname)) {
		const main = new URL(url);
		main.pathname = `${url.pathname.replace(/\/$/, "")}/resolve/main/`;
		folders.push(main);
	}
	const { signal } = options;
	let notFound: unknown;
	for (const address of folders) {
		const folder = httpFolder(address, options);
		try {
			const source = file.endsWith(".gguf")
				? await openGgufIn(folder, decodeURIComponent(file), signal ? { signal } : {})
				: await openHuggingFace(folder, signal ? { signal } : {});
			return { source, baseUrl: folder.name };
		} catch (error) {
			// A page in the place of a file: the address was that of the page.
			const elsewhere =
				error instanceof ModelNotFoundError ||
				(error instanceof ModelSourceError && error.details.reason === "page");
			if (!elsewhere) throw error;
			notFound = error;
		}
	}
	throw notFound;
}

function parseReference(reference: string, hub: string): URL {
	const short = /^hf:([\w.-]+\/[\w.-]+)(?:@([\w.-]+))?(?:\/([\w.-]+\.gguf))?$/.exec(reference);
	if (short) return new URL(`${short[1]}/resolve/${short[2] ?? "main"}/${short[3] ?? ""}`, hub);
	const url = URL.parse(reference);
	if (!url || !/^https?:$/.test(url.protocol)) {
		throw new ModelSourceError(`${reference.slice(0, 128)} is no address of a model.`, {
			metaMessages: ["Give https://…/model.gguf, the address of a model on a hub, or hf:owner/model."],
		});
	}
	// What a person copies out of the address bar is the page of a file or folder.
	url.pathname = url.pathname.replace(/^(\/[^/]+\/[^/]+\/)(?:blob|tree)\/([^/]+)/, "$1resolve/$2");
	return url;
}
