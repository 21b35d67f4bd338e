import { cstoreNameSchema, KeySpaceError, peerIdSchema } from "@tabmesh/wire";
import * as v from "valibot";

/** What is kept together and apart from everything else: a room's state, or a part of it. No room's name holds a slash. */
export function placeOf(room: string, part: string | undefined): string {
	return part === undefined ? room : `${room}/${part}`;
}

/** Numbers of the key spaces in a signed write. None of them can name another peer's space. */
export const space = { peer: 0, room: 1, public: 2 } as const;
export type Space = (typeof space)[keyof typeof space];

/** Where a member of a private room keeps what shows that it is one. */
export const capabilityName = "@capability";

/** Names that begin so are cstore's own. */
const reserved = "@";

/** A key taken apart. */
export interface Place {
	space: Space;
	/** The peer or room that the space belongs to; undefined in `public/`. */
	owner: string | undefined;
	name: string;
}

/**
 * Takes a key apart: `peer/<id>/<name>`, `room/<id>/<name>` or `public/<name>`. A name is 1 to 128 characters of
 * visible ASCII and may hold more slashes.
 *
 * @throws KeySpaceError
 */
export function parseKey(key: string): Place {
	const [head = "", ...rest] = key.split("/");
	if (head === "public")
		return { space: space.public, owner: undefined, name: checkedName(rest.join("/"), key) };
	const [owner = "", ...name] = rest;
	const place = { owner, name: checkedName(name.join("/"), key) };
	if (head === "peer" && v.is(peerIdSchema, owner)) return { space: space.peer, ...place };
	if (head === "room" && owner !== "") return { space: space.room, ...place };
	throw badKey(key);
}

/**
 * Takes a key apart that `peer` wants to write in `room`.
 *
 * @throws KeySpaceError also where the space is another's
 */
export function parseOwnKey(key: string, peer: string, room: string): Place {
	const place = parseKey(key);
	if (place.space === space.peer && place.owner !== peer) {
		throw new KeySpaceError("Only a peer itself writes into its key space.", {
			metaMessages: [`Write to peer/${peer}/… instead.`],
			details: { key: key.slice(0, 200) },
		});
	}
	if (place.space === space.room && place.owner !== room) {
		throw new KeySpaceError(`This store is of the room ${room}, the key of another.`, {
			details: { key: key.slice(0, 200) },
		});
	}
	if (place.name.startsWith(reserved))
		throw new KeySpaceError(`Names that begin with ${reserved} are reserved.`);
	return place;
}

/** The key that a signed write means. */
export function keyOf(kind: Space, name: string, author: string, room: string): string {
	if (kind === space.peer) return `peer/${author}/${name}`;
	return kind === space.room ? `room/${room}/${name}` : `public/${name}`;
}

/** What a value is stored by: a key, or a key and a field. Neither can hold the separator. */
export function slotOf(key: string, field: string | undefined): string {
	return field === undefined ? key : `${key}\u0000${field}`;
}

/** @throws KeySpaceError when it cannot be the field of a hash */
export function checkedField(field: string): string {
	if (isName(field)) return field;
	throw new KeySpaceError("A field is 1 to 128 characters of visible ASCII.", {
		details: { field: field.slice(0, 200) },
	});
}

function checkedName(name: string, key: string): string {
	if (isName(name)) return name;
	throw badKey(key);
}

function badKey(key: string): KeySpaceError {
	return new KeySpaceError("This is no key of shared state.", {
		metaMessages: [
			'Keys are "peer/<id>/…", "room/<id>/…" or "public/…", at most 128 visible ASCII characters behind that.',
		],
		details: { key: key.slice(0, 200) },
	});
}

function isName(text: string): boolean {
	return v.is(cstoreNameSchema, text);
}
