/**
 * Many peers, one answer: who should hold which layers (`deal`), the route of a stream (`planRoute`, `sealRoute`), stages that serve it
 * (`serveStages`), and the asker's side (`generate`). Tokens in, tokens out.
 *
 * This room never turns text into tokens, never draws or announces anything, and trusts nothing that a peer sends.
 */
export { type Deal, type DealOptions, type DealReason, deal } from "./deal.ts";
export { Experience } from "./experience.ts";
export { type Explanation, explain, explainRoute } from "./explain.ts";
export {
	type GeneratedToken,
	type GenerateInit,
	generate,
	type TokenGeneration,
	type TokenSummary,
} from "./generate.ts";
export { growth } from "./growth.ts";
export { type LapTime, lapTime, type Objective, type PlanView } from "./holders.ts";
export type { OwnConnection } from "./links.ts";
export { LoadedSpans, type SpanLease, type SpanOptions } from "./loadedSpans.ts";
export { type DraftModel, draftPositions, ModelDrafter } from "./modelDrafter.ts";
export { type ModelSizes, modelSizes, spanContains, spanOf } from "./modelSizes.ts";
export { OwnEnds, ownSpanOf } from "./ownEnds.ts";
export { modelNeed, neediestModel, neediestOf } from "./placeSpares.ts";
export { type PlanRouteOptions, planRoute } from "./planRoute.ts";
export { type Placement, planSwarm } from "./planSwarm.ts";
export { ringProtocol, stageProtocol } from "./protocols.ts";
export { rebalance } from "./rebalance.ts";
export { type OpenedRoute, type OpenRouteOptions, openRoute, sealRoute } from "./route.ts";
export { greedy, sample } from "./sampling.ts";
export { openSignedReceipt, type SignedReceipt } from "./signedReceipt.ts";
export { replaceLost, type Spare, sparesFor } from "./spares.ts";
export type { StageState, StageStatus } from "./stageLink.ts";
export { type StageServer, type StageServerInit, serveStages } from "./stageServer.ts";
export { StalledLenders } from "./stalledLenders.ts";
export type { Replay, ResumableStream } from "./streamRun.ts";
export { FIRST_LINK, type Link, nextLink, TokenChain } from "./tokenChain.ts";
