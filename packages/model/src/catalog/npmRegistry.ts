import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { ModelSourceError } from "@tabmesh/wire";
import npmFetch from "npm-registry-fetch";

/** Where a package's tarball lies, as the registry says. */
export interface Tarball {
	readonly url: string;
	readonly integrity: string;
}

/** The registry that npm on this machine is configured for: scripts that npm runs are told by a variable, others ask it. */
export async function npmRegistry(signal?: AbortSignal): Promise<string> {
	const told = process.env.npm_config_registry;
	if (told) return told;
	const command = process.platform === "win32" ? "npm.cmd" : "npm";
	try {
		const shell = process.platform === "win32";
		const { stdout } = await promisify(execFile)(command, ["config", "get", "registry"], {
			shell,
			...(signal ? { signal } : {}),
		});
		const registry = stdout.trim();
		if (URL.canParse(registry)) return registry;
	} catch (cause) {
		signal?.throwIfAborted();
		throw new ModelSourceError("npm cannot be asked which registry this machine uses.", {
			cause,
			metaMessages: ["Install npm, or set npm_config_registry."],
		});
	}
	throw new ModelSourceError("npm names no registry.", { metaMessages: ["Set npm_config_registry."] });
}

/**
 * Asks the registry for one version of a package.
 *
 * @param spec - `name@version`
 * @throws ModelSourceError when the registry cannot be reached or does not have it
 */
export async function findTarball(spec: string, registry: string, signal?: AbortSignal): Promise<Tarball> {
	const at = spec.lastIndexOf("@");
	const path = `${spec.slice(0, at).replace("/", "%2f")}/${spec.slice(at + 1)}`;
	try {
		const version = await npmFetch.json(path, { registry, ...(signal ? { signal } : {}) });
		const { tarball, integrity } = (version.dist ?? {}) as { tarball?: unknown; integrity?: unknown };
		if (typeof tarball === "string" && typeof integrity === "string") return { url: tarball, integrity };
	} catch (cause) {
		signal?.throwIfAborted();
		throw new ModelSourceError(`The npm registry does not give ${spec}.`, {
			cause,
			metaMessages: ["Check the network and npm's settings for registry and proxy."],
		});
	}
	throw new ModelSourceError(`The npm registry describes ${spec} without a tarball.`);
}
