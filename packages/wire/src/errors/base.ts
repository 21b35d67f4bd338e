/** What every Tabmesh error can be given besides its sentence. */
export interface TabmeshErrorOptions {
	/** The error beneath this one. */
	cause?: unknown;
	/** What the person who meets the error can do now, one sentence each. */
	metaMessages?: string[];
	/** Numbers and names that a program may want; they cross the wire, so no secrets and nothing large. */
	details?: Record<string, string | number | boolean | null>;
}

/**
 * The root of every error that Tabmesh throws on purpose.
 *
 * `code` is stable across versions and crosses the wire; `shortMessage` is one sentence for a person;
 * `metaMessages` say what to do now; `walk()` finds a cause further down.
 *
 * @example
 * ```ts
 * import { TabmeshError, ShardIntegrityError } from "@tabmesh/wire";
 * try { await load(); } catch (error) {
 *   if (error instanceof TabmeshError && error.walk((e) => e instanceof ShardIntegrityError)) retry();
 * }
 * ```
 */
export class TabmeshError extends Error {
	override name = "TabmeshError";
	/** Stable machine-readable name of the condition. */
	readonly code: string = "Tabmesh";
	readonly shortMessage: string;
	readonly metaMessages: readonly string[];
	readonly details: Readonly<Record<string, string | number | boolean | null>>;

	constructor(shortMessage: string, options: TabmeshErrorOptions = {}) {
		const metaMessages = options.metaMessages ?? [];
		super(
			[shortMessage, ...metaMessages].join(" "),
			options.cause === undefined ? {} : { cause: options.cause },
		);
		this.shortMessage = shortMessage;
		this.metaMessages = metaMessages;
		this.details = options.details ?? {};
	}

	/** The first error in the chain of causes (this one included) that `matches`, or the deepest one when no test is given. */
	walk(matches?: (error: unknown) => boolean): unknown {
		let error: unknown = this;
		for (let depth = 0; depth < 32; depth++) {
			if (matches?.(error)) return error;
			const cause = error instanceof Error ? error.cause : undefined;
			if (cause === undefined) return matches ? undefined : error;
			error = cause;
		}
		return undefined;
	}
}
