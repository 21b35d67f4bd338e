/**
 * The network behind OpenAI's API: `createOpenAi` gives the calls of their client, and reads requests that come from elsewhere, such as
 * over HTTP. A face of its own, because not everybody who connects asks in this way.
 *
 * It renders nothing and opens no port.
 */
export { createOpenAi, type OpenAi } from "./createOpenAi.ts";
export type * from "./shapes.ts";
