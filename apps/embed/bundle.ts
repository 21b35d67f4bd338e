import { fileURLToPath } from "node:url";
import { build, type Rolldown } from "vite";

/**
 * Bundles one entry of `src/` with all that it needs, for pages that this repository does not build.
 *
 * @param format - `es` for modules, `iife` for classic scripts
 * @returns its code
 */
export async function bundleEmbed(entry: string, format: "es" | "iife"): Promise<string> {
	const built = (await build({
		configFile: false,
		// Of a classic script it says that no module's address is known there, and that nobody gets its exports.
		logLevel: format === "es" ? "warn" : "error",
		build: {
			write: false,
			target: ["chrome125", "firefox128", "safari18"],
			modulePreload: false,
			rolldownOptions: {
				input: fileURLToPath(new URL(`src/${entry}`, import.meta.url)),
				preserveEntrySignatures: "strict",
				// Rooms below bring much that no page needs: what nobody imports has no effect.
				treeshake: { moduleSideEffects: [fileURLToPath(new URL(`src/${entry}`, import.meta.url))] },
				output: { format, codeSplitting: false },
			},
		},
	})) as Rolldown.RolldownOutput;
	return built.output[0].code;
}
