import type { EnvelopeSigner } from "@tabmesh/dauth";
import { admitToRoom, createEnvelopeVerifier } from "@tabmesh/dauth";
import {
	decodeCbor,
	EnvelopeTimeError,
	encodeCbor,
	isPrivateRoute,
	limits,
	type Route,
	RouteRefusedError,
	RouteViolationError,
	routeSchema,
} from "@tabmesh/wire";

/** The signed envelope of a route, as it goes to every stage. */
export async function sealRoute(signer: EnvelopeSigner, route: Route): Promise<Uint8Array> {
	return signer.seal("route", encodeCbor(route));
}

export interface OpenRouteOptions {
	/** Who brought it, authenticated by the transport. */
	remote: string;
	/** Our own peer id. */
	self: string;
	/** Room that we serve. */
	room: string;
	/** Milliseconds since 1970. @default Date.now */
	now?: () => number;
}

/** A route that holds, and our place on it. */
export interface OpenedRoute {
	readonly route: Route;
	/** Index of our hop. */
	readonly place: number;
}

/**
 * Checks a signed route: schema, signature, age, that its author brought it himself, that it has not expired, that it is
 * of our room, that its author may ask there, that its ends are his own where it is private, and that we are on it.
 *
 * @throws MalformedMessageError, MessageTooLargeError, InvalidSignatureError, EnvelopeTimeError, RouteViolationError,
 * RouteRefusedError, CapabilityError
 */
export async function openRoute(envelope: Uint8Array, options: OpenRouteOptions): Promise<OpenedRoute> {
	const now = options.now ?? Date.now;
	// A verifier without a memory: several streams of one asker are opened at once and overtake each other, which a rising
	// sequence forbids. Nothing is lost, since only the author himself can bring a route and a stream is opened once.
	const { author, payload } = await createEnvelopeVerifier({ now }).open(envelope, "route");
	if (author !== options.remote) {
		throw new RouteViolationError("A route was brought by somebody who did not sign it.", {
			details: { author, remote: options.remote },
		});
	}
	const route = decodeCbor(routeSchema, payload, limits.routeBytes);
	if (route.expires < now()) {
		throw new EnvelopeTimeError("A route has expired.", { details: { expires: route.expires } });
	}
	if (route.room !== options.room) {
		throw new RouteRefusedError("This peer serves another room.", { details: { room: options.room } });
	}
	await admitToRoom({
		room: route.room,
		peer: author,
		action: "ask",
		capability: route.capability,
		now: now(),
	});
	if (isPrivateRoute(route.hops) && route.hops[0]!.peer !== author) {
		throw new RouteViolationError("The ends of a private route are not the asker's own.");
	}
	const place = route.hops.findIndex((hop) => hop.peer === options.self);
	if (place < 0) throw new RouteRefusedError("This peer is not on the route that it was sent.");
	if (!route.hops[0]!.span.embed || !route.hops.at(-1)!.span.head) {
		throw new RouteRefusedError("A route must begin with the embedding and end with the head.");
	}
	return { route, place };
}
