import { TabmeshError } from "@tabmesh/wire";

/** An error as OpenAI's API words it. */
export interface ApiError {
	readonly status: number;
	/** Seconds after which asking again may help. */
	readonly retryAfter?: number;
	readonly body: {
		readonly error: {
			readonly message: string;
			readonly type: string;
			readonly param: string | null;
			readonly code: string | null;
		};
	};
}

/** What a request is refused with before anybody is asked. */
export function apiError(
	status: number,
	code: string,
	message: string,
	more: { param?: string; retryAfter?: number } = {},
): ApiError {
	const { param, retryAfter } = more;
	return {
		status,
		...(retryAfter === undefined ? {} : { retryAfter }),
		body: { error: { message, type: typeOf(status), param: param ?? null, code } },
	};
}

/** Lenders come and go within seconds. */
const SWARM_CHANGES_S = 5;

/** Statuses of what the caller or the swarm is to blame for, by error code; everything else is our own fault. */
const known: Readonly<Record<string, { status: number; code?: string; retryAfter?: number }>> = {
	InvalidParameter: { status: 400, code: "invalid_value" },
	EmptyPrompt: { status: 400, code: "invalid_value" },
	PromptTooLong: { status: 400, code: "context_length_exceeded" },
	ModelNotFound: { status: 404, code: "model_not_found" },
	NoRoute: { status: 503, code: "no_lenders", retryAfter: SWARM_CHANGES_S },
	StageBusy: { status: 503, code: "lenders_busy", retryAfter: SWARM_CHANGES_S },
	RouteRefused: { status: 503, code: "lenders_refused", retryAfter: SWARM_CHANGES_S },
	PeerUnreachable: { status: 502, code: "lender_unreachable" },
	StageLost: { status: 502, code: "lender_lost" },
	TokenChain: { status: 502, code: "lender_lied" },
	Timeout: { status: 504, code: "timeout" },
};

/** How an answer that failed is told. */
export function apiErrorOf(error: unknown): ApiError {
	if (!(error instanceof TabmeshError)) {
		return apiError(500, "internal_error", "Something went wrong here; the operator's log says what.");
	}
	const { status, code, retryAfter } = known[error.code] ?? { status: 500 };
	const { param, retryAfterMs } = error.details;
	const again = typeof retryAfterMs === "number" ? Math.ceil(retryAfterMs / 1000) : retryAfter;
	return apiError(status, code ?? error.code, error.message, {
		...(typeof param === "string" && param !== "" ? { param } : {}),
		...(again === undefined ? {} : { retryAfter: Math.max(1, again) }),
	});
}

/** OpenAI's names of the kinds of errors. */
function typeOf(status: number): string {
	if (status === 401) return "authentication_error";
	if (status === 403) return "permission_error";
	if (status === 429) return "rate_limit_error";
	return status < 500 ? "invalid_request_error" : "server_error";
}
