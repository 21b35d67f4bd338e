import { buildSite } from "@tabmesh/cli";

/** Builds the pages where they are older than their sources, once for all specs. */
export default async function globalSetup(): Promise<void> {
	await buildSite({ onStart: () => console.error("Building the web pages …") });
}
