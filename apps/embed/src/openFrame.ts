import {
	ConsentRequiredError,
	InsecureOriginError,
	InvalidParameterError,
	PeerUnreachableError,
	UnsupportedVersionError,
} from "@tabmesh/wire";
import * as v from "valibot";
import {
	frameProtocol,
	type Hello,
	readySchema,
	type ToFrame,
	type ToPage,
	toPageSchema,
} from "./frameMessages.ts";

/** A relay's frame is a few kilobytes; a line that is slower than this brings no answer either. */
const patienceMs = 20_000;

/** A frame of Tabmesh's own origin in this page, and the only way to it. */
export interface Frame {
	send(message: ToFrame): void;
	close(): void;
}

export interface FrameOptions {
	/** Origin of the relay. */
	relay: string;
	hello: Omit<Hello, "tabmesh" | "type">;
	onMessage: (message: ToPage) => void;
	signal?: AbortSignal;
}

/** Origin of the relay at this address. */
export function relayOrigin(relay: string): string {
	const url = URL.canParse(relay) ? new URL(relay) : undefined;
	if (url && /^https?:$/.test(url.protocol)) return url.origin;
	throw new InvalidParameterError(`"${relay.slice(0, 100)}" is not the address of a relay.`, {
		metaMessages: ["It looks like https://relay.example.org."],
	});
}

/**
 * The frame's element, not loaded yet. What it
 * may not do to this page is said here; what this page may not do to it, by its origin.
 *
 * @param kind - `ask` has no face, the others are panels
 */
export function createFrame(relay: string, kind: "ask" | "chat" | "lend", title: string): HTMLIFrameElement {
	const iframe = document.createElement("iframe");
	iframe.title = title;
	// Its own origin, or it would have no keys. It opens windows of Tabmesh, and can move this one nowhere.
	iframe.setAttribute(
		"sandbox",
		"allow-scripts allow-same-origin allow-forms allow-downloads allow-popups allow-popups-to-escape-sandbox",
	);
	iframe.allow = "cross-origin-isolated; screen-wake-lock; clipboard-write";
	iframe.src = `${relay}/embed/${kind}`;
	return iframe;
}

/**
 * Waits until the frame that `mount` puts into the page listens, and hands it one end of a channel.
 *
 * @throws ConsentRequiredError before any click, InsecureOriginError, InvalidParameterError where the page's policy allows no such frame,
 * PeerUnreachableError, UnsupportedVersionError
 */
export async function openFrame(
	iframe: HTMLIFrameElement,
	mount: () => void,
	options: FrameOptions,
): Promise<Frame> {
	const { relay, hello, onMessage, signal } = options;
	signal?.throwIfAborted();
	if (!isSecureContext)
		throw new InsecureOriginError("Tabmesh runs on pages that are served over HTTPS only.");
	if (navigator.userActivation?.hasBeenActive === false) {
		throw new ConsentRequiredError("Nothing of Tabmesh is loaded before a click.", {
			metaMessages: ["Call connect() when the visitor clicked something."],
		});
	}
	const over = new AbortController();
	const { promise, resolve, reject } = Promise.withResolvers<void>();
	const listening = { signal: over.signal };
	signal?.addEventListener("abort", () => reject(signal.reason), listening);
	addEventListener(
		"message",
		({ source, origin, data }) => {
			if (source !== iframe.contentWindow || origin !== relay) return;
			const ready = v.safeParse(readySchema, data);
			if (!ready.success) return;
			if (ready.output.tabmesh === frameProtocol) resolve();
			else {
				reject(
					new UnsupportedVersionError(`This page speaks version ${frameProtocol}, ${relay} another one.`, {
						metaMessages: [`Load embed.js of ${relay}, with the integrity that it has now.`],
					}),
				);
			}
		},
		listening,
	);
	document.addEventListener(
		"securitypolicyviolation",
		({ blockedURI, effectiveDirective }) => {
			if (!blockedURI.startsWith(relay) || effectiveDirective !== "frame-src") return;
			reject(
				new InvalidParameterError(`This page's Content-Security-Policy lets no frame of ${relay} in.`, {
					metaMessages: [`Add "frame-src ${relay}" to it.`],
				}),
			);
		},
		listening,
	);
	const patience = setTimeout(
		() => reject(new PeerUnreachableError(`No relay answers at ${relay}.`)),
		patienceMs,
	);
	const channel = new MessageChannel();
	try {
		mount();
		await promise;
	} catch (error) {
		channel.port1.close();
		iframe.remove();
		throw error;
	} finally {
		clearTimeout(patience);
		over.abort();
	}
	channel.port1.onmessage = ({ data }) => {
		const message = v.safeParse(toPageSchema, data);
		if (message.success) onMessage(message.output);
	};
	const greeting: Hello = { tabmesh: frameProtocol, type: "hello", ...hello };
	iframe.contentWindow!.postMessage(greeting, relay, [channel.port2]);
	return {
		send: (message) => channel.port1.postMessage(message),
		close() {
			channel.port1.close();
			iframe.remove();
		},
	};
}
