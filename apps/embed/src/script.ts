import { type ConnectOptions, connect as connectTo, type TabmeshClient } from "./connect.ts";
import { defineElements } from "./elements.ts";

// What a script tag gives: the elements, and `Tabmesh` for the scripts of the page. Classic scripts are told where they came from by the
// document, modules by themselves.
const { currentScript } = document;
const relay = new URL(currentScript instanceof HTMLScriptElement ? currentScript.src : import.meta.url)
	.origin;

export function connect(options: ConnectOptions = {}): Promise<TabmeshClient> {
	return connectTo({ relay, ...options });
}

defineElements(relay);
// A second script tag, or another library of that name, keeps its place.
if (!("Tabmesh" in globalThis)) Object.assign(globalThis, { Tabmesh: Object.freeze({ connect }) });
