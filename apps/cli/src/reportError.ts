import { TabmeshError } from "@tabmesh/wire";

/** What a person reads about an error: one sentence and what to do, never a stack. `TABMESH_DEBUG=1` shows that, too. */
export function errorLine(error: unknown): string {
	if (error instanceof TabmeshError) return error.message;
	if (error instanceof Error) {
		if (error.name === "AbortError") return "Cancelled.";
		return `Something unexpected went wrong: ${error.message || error.name}`;
	}
	return `Something unexpected went wrong: ${String(error)}`;
}
