/**
 * Models: what their files hold, what they are called, where their bytes come from, the graph that runs a span of them, and
 * the text they read and write. Every byte that leaves this room has the hash that the model's manifest gives.
 *
 * This room never runs a model (the inference worker does, behind the `Engine` interface declared here) and never talks to peers.
 */

export { piecesOf } from "./bytes/piecesOf.ts";
export { type CatalogEntry, catalog, catalogEntry } from "./catalog/catalog.ts";
export { type ModelNeeds, modelNeeds } from "./catalog/modelNeeds.ts";
export * from "./engine.ts";
export * from "./format/llama2cSource.ts";
export * from "./format/modelSource.ts";
export * from "./format/sourceFile.ts";
export { EmbeddingTable } from "./graph/embeddingTable.ts";
export { FinalNorm, finalNormTensor } from "./graph/finalNorm.ts";
export {
	composeIntegerProduct,
	composeNothing,
	composeSpan,
	type GraphFormat,
	type GraphWeight,
	graphNames,
	type KeyValueFormat,
	type SpanGraph,
	type WeightFormat,
} from "./graph/spanGraph.ts";
export {
	embeddingTensor,
	keyValueBytesPerToken,
	type SpanSize,
	spanSize,
	tensorsOfSpan,
} from "./graph/spanSize.ts";
export type { SourceWeight } from "./graph/weights.ts";
export { modelId } from "./manifest/modelId.ts";
export { openManifest } from "./manifest/openManifest.ts";
export { type PublishedModel, type PublishOptions, publishModel } from "./manifest/publishModel.ts";
export { openModelFiles } from "./open/openModelFiles.ts";
export { type OpenedUrl, type OpenModelUrlOptions, openModelUrl } from "./open/openModelUrl.ts";
export { gateTexts } from "./quality/gateTexts.ts";
export { type MeasureQualityOptions, measureQuality, type Quality } from "./quality/measureQuality.ts";
export { boundaryOf, offeredFormats, weightFormats } from "./quality/offeredFormats.ts";
export { requantisedSource } from "./quality/requantisedSource.ts";
export * from "./shardSource.ts";
export { readShard, type ShardLayout, shardLayout, writeShard } from "./shards/shard.ts";
export { type HttpSourceOptions, httpSource } from "./sources/httpSource.ts";
export { originParts } from "./sources/originParts.ts";
export * from "./sources/sourceOfModel.ts";
export type { ToolDefinition, TurnOfChat } from "./tokenizer/chatTemplate.ts";
export type { StreamingDecoder } from "./tokenizer/streamingDecoder.ts";
export { createTokenizer, type Tokenizer } from "./tokenizer/tokenizer.ts";
export type { ToolForm } from "./tokenizer/toolForm.ts";
