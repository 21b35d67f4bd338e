import * as v from "valibot";
import { frameProtocol, type Hello, helloSchema, type ToPage } from "../frameMessages.ts";

/** The page around this frame, which is anybody's. */
export interface Page {
	/** `https://dapp.example`, as the browser says it. */
	readonly origin: string;
	readonly hello: Hello;
	readonly port: MessagePort;
	tell(message: ToPage): void;
}

/**
 * Waits for the one greeting of the window around this frame; no other window is heard, now or later.
 *
 * @param alone - where to go when this is no frame at all: somebody opened its address
 */
export function greetPage(alone: string): Promise<Page> {
	return new Promise((resolve) => {
		if (window.parent === window) return location.replace(alone);
		const onMessage = ({ source, origin, data, ports }: MessageEvent): void => {
			if (source !== window.parent) return;
			const hello = v.safeParse(helloSchema, data);
			const [port] = ports;
			if (!hello.success || !port) return;
			removeEventListener("message", onMessage);
			resolve({ origin, hello: hello.output, port, tell: (message) => port.postMessage(message) });
		};
		addEventListener("message", onMessage);
		window.parent.postMessage({ tabmesh: frameProtocol, type: "ready" }, "*");
	});
}
