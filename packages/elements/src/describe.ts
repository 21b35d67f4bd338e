import type { Span, TabmeshError } from "@tabmesh/wire";
import { messages } from "./language/language.ts";

/** What went wrong and what to do now, ready to be shown. */
export interface Trouble {
	readonly what: string;
	readonly steps: readonly string[];
	readonly code: string | undefined;
}

/** What Chromium, Safari and Firefox say of an `import()` whose file did not come. */
const notLoaded =
	/failed to fetch dynamically imported|importing a module script failed|error loading dynamically imported/i;

/**
 * Any error as a person should meet it. Judged by its shape, not its class: a dapp may carry a second copy of
 * `@tabmesh/wire`, and foreign errors must not leak stacks into a page.
 */
export function describeError(error: unknown): Trouble {
	const candidate = error as Partial<TabmeshError> | null | undefined;
	if (typeof candidate?.shortMessage === "string" && candidate.shortMessage !== "") {
		const translated = messages.errors?.[candidate.code ?? ""];
		if (translated !== undefined) {
			const told = typeof translated === "function" ? translated(candidate.details ?? {}) : translated;
			return { ...told, code: candidate.code };
		}
		return {
			what: candidate.shortMessage,
			steps: Array.isArray(candidate.metaMessages) ? candidate.metaMessages : [],
			code: candidate.code,
		};
	}
	if (error instanceof TypeError && notLoaded.test(error.message)) {
		return { what: messages.notLoaded, steps: [messages.notLoadedStep], code: undefined };
	}
	return { what: messages.unexpected, steps: [messages.unexpectedStep], code: undefined };
}

/** The tail of a peer id, enough to tell a handful of peers apart. */
export function describePeer(peer: string, self: string | undefined): string {
	if (peer === self) return messages.thisTab;
	return peer === "" ? messages.unknownPeer : `…${peer.slice(-5)}`;
}

/** A span as people count: `layers 1–3`, from one and inclusive, with embedding and head where they belong to it. */
export function describeSpan(span: Span): string {
	const parts: string[] = [];
	if (span.embed) parts.push(messages.layers.embedding);
	if (span.to - span.from === 1) parts.push(messages.layers.one(span.to));
	else if (span.to > span.from) parts.push(messages.layers.many(span.from + 1, span.to));
	if (span.head) parts.push(messages.layers.head);
	return parts.join(" + ");
}
