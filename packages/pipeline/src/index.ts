/**
 * Many peers, one answer: who should hold which layers (`deal`), the route of a stream (`planRoute`, `sealRoute`), stages that serve it
 * (`serveStages`), and the asker's side (`generate`, `embed`). Tokens in, tokens out, or the mean of their states.
 *
 * `plan/` decides who holds what and which way a stream goes; `stage/` is the lender's side of a stream, `ask/` the asker's; `sampling/` picks tokens;
 * `embedding/` takes means of states instead; `speculation/` drafts tokens; `receipts/` says what was done.
 *
 * This room never turns text into tokens, never draws or announces anything, and trusts nothing that a peer sends.
 */

export { type Embedded, type EmbedInit, embed } from "./ask/embed.ts";
export {
	type GeneratedToken,
	type GenerateInit,
	generate,
	type TokenGeneration,
	type TokenSummary,
} from "./ask/generate.ts";
export { OwnEnds, ownSpanOf } from "./ask/ownEnds.ts";
export type { Replay, ResumableStream } from "./ask/streamRun.ts";
export { type Deal, type DealOptions, type DealReason, deal } from "./plan/deal.ts";
export { Experience } from "./plan/experience.ts";
export { type Explanation, explain, explainRoute } from "./plan/explain.ts";
export { growth, isSoonWhole } from "./plan/growth.ts";
export { type LapTime, lapTime, type Objective, type PlanView } from "./plan/holders.ts";
export type { OwnConnection } from "./plan/links.ts";
export { type ModelSizes, modelSizes, spanContains, spanOf } from "./plan/modelSizes.ts";
export { modelNeed, neediestModel, neediestOf } from "./plan/placeSpares.ts";
export { type PlanRouteOptions, planRoute } from "./plan/planRoute.ts";
export { type Placement, planSwarm } from "./plan/planSwarm.ts";
export { rebalance } from "./plan/rebalance.ts";
export { replaceLost, type Spare, sparesFor } from "./plan/spares.ts";
export { StalledLenders } from "./plan/stalledLenders.ts";
export { ringProtocol, stageFeatures, stageProtocol } from "./protocols.ts";
export { openSignedReceipt, type SignedReceipt } from "./receipts/signedReceipt.ts";
export { type OpenedRoute, type OpenRouteOptions, openRoute, sealRoute } from "./route.ts";
export { greedy, sample } from "./sampling/sampling.ts";
export { type DraftModel, draftPositions, ModelDrafter } from "./speculation/modelDrafter.ts";
export { LoadedSpans, type SpanLease, type SpanOptions } from "./stage/loadedSpans.ts";
export type { StageState, StageStatus } from "./stage/stageLink.ts";
export {
	type ServedRoute,
	type StageServer,
	type StageServerInit,
	serveStages,
} from "./stage/stageServer.ts";
export { FIRST_LINK, type Link, nextLink, TokenChain } from "./tokenChain.ts";
