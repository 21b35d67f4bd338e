import type { Engine } from "@tabmesh/model";

/** EventTarget with the engine's own events as its types. */
export const EngineEventTarget = EventTarget as unknown as new () => Pick<
	Engine,
	"addEventListener" | "removeEventListener"
> & { dispatchEvent(event: Event): boolean };
