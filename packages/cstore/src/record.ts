import { publicKeyFromRaw } from "@libp2p/crypto/keys";
import { sha256 } from "@noble/hashes/sha2.js";
import { bytesToHex } from "@noble/hashes/utils.js";
import { envelopeBody, type PeerIdentity, peerIdFromPublicKey } from "@tabmesh/dauth";
import {
	type CstoreBody,
	type CstorePayload,
	type CstoreRecord,
	type CstoreWrite,
	cstorePayloadSchema,
	decodeCbor,
	encodeCbor,
	envelopeSchema,
	equalBytes,
	InvalidSignatureError,
	limits,
	MalformedMessageError,
	ProtocolViolationError,
} from "@tabmesh/wire";
import { timeOf } from "./hybridClock.ts";
import { keyOf, type Place, slotOf } from "./keySpace.ts";
import { decodeValue } from "./value.ts";

const domain = "cstore";

/** What a record costs beyond its bytes: its places in maps, and a row on the disk. */
const recordOverhead = 128;

/** One key that a record writes. */
export interface Write {
	readonly slot: string;
	readonly key: string;
	readonly field: string | undefined;
	/** Deterministic CBOR; undefined where the write deletes. */
	readonly value: Uint8Array | undefined;
}

/** A signed, immutable piece of shared state: one author's writes to one or several keys at one stamp. */
export interface StoredRecord {
	/** SHA-256 of the envelope, as 64 hexadecimal digits. */
	readonly id: string;
	/** Peer id. */
	readonly author: string;
	readonly authorKey: Uint8Array;
	readonly stamp: number;
	readonly writes: readonly Write[];
	/** As it travels. */
	readonly wire: CstoreRecord;
	/** What it counts against quotas. */
	readonly bytes: number;
}

/** An envelope of ours that was read; its signature is not yet checked. */
export interface ReadEnvelope {
	readonly author: string;
	readonly authorKey: Uint8Array;
	readonly stamp: number;
	/** Present in a digest. */
	readonly digest: { readonly records: number; readonly fingerprint: Uint8Array } | undefined;
	/** Present in a relay's word that a peer is gone: what it had said last. */
	readonly gone: { readonly peer: string; readonly sequence: number } | undefined;
	/** Present in a record. */
	readonly writes: readonly CstoreWrite[] | undefined;
	/** SHA-256 of the envelope, as 64 hexadecimal digits. */
	readonly id: string;
	readonly bytes: Uint8Array;
	/** @throws InvalidSignatureError */
	verify(): Promise<void>;
}

/** The 8 bytes by which a signature is bound to a place: a room, or a part of one. */
export function placeTag(place: string): Uint8Array {
	return sha256(new TextEncoder().encode(place)).slice(0, 8);
}

/**
 * Reads an envelope of shared state. Costs no signature check.
 *
 * @throws MalformedMessageError, MessageTooLargeError; ProtocolViolationError when it is for something else or another room
 */
export function readEnvelope(bytes: Uint8Array, tag: Uint8Array): ReadEnvelope {
	const [claimed, authorKey, time, stamp, payload, signature] = decodeCbor(
		envelopeSchema,
		bytes,
		limits.envelopeBytes,
	);
	if (claimed !== domain) {
		throw new ProtocolViolationError(`An envelope for "${claimed}" came where one for "${domain}" belongs.`);
	}
	// One way to say when: otherwise a relay and a store could judge the same envelope differently.
	if (time !== timeOf(stamp)) throw new MalformedMessageError("A stamp and its time do not agree.");
	const said = decodeCbor(cstorePayloadSchema, payload, limits.envelopeBytes);
	if (!equalBytes(said[0], tag)) {
		throw new ProtocolViolationError("What was signed for one room, or a part of it, came in another.");
	}
	return {
		author: peerIdFromPublicKey(authorKey),
		authorKey,
		stamp,
		digest: isDigest(said) ? { records: said[1], fingerprint: said[2] } : undefined,
		gone: isGone(said) ? { peer: peerIdFromPublicKey(said[1]), sequence: said[2] } : undefined,
		writes: said.length === 2 ? said[1] : undefined,
		id: bytesToHex(sha256(bytes)),
		bytes,
		async verify() {
			let genuine = false;
			try {
				genuine = await publicKeyFromRaw(authorKey).verify(
					envelopeBody(domain, authorKey, time, stamp, payload),
					signature,
				);
			} catch {
				// Not a point of the curve.
			}
			if (!genuine) throw new InvalidSignatureError("A record's signature is not its author's.");
		},
	};
}

function isDigest(said: CstorePayload): said is Extract<CstorePayload, [unknown, number, unknown]> {
	return typeof said[1] === "number";
}

function isGone(said: CstorePayload): said is Extract<CstorePayload, [unknown, Uint8Array, unknown]> {
	return said[1] instanceof Uint8Array;
}

/** Values that travel beside the envelope, by what it says of them. */
export function valuesBeside(writes: readonly CstoreWrite[]): number {
	return writes.filter(([, , body]) => Array.isArray(body)).length;
}

/**
 * Puts an envelope and the values beside it together.
 *
 * @throws MalformedMessageError when values are missing, too many, not CBOR, or not those that were signed, or a key is
 * written twice
 */
export function toRecord(envelope: ReadEnvelope, values: readonly Uint8Array[], room: string): StoredRecord {
	const { author, authorKey, stamp, id, bytes } = envelope;
	const slots = new Set<string>();
	let next = 0;
	let valueBytes = 0;
	const writes = (envelope.writes ?? []).map(([kind, name, body, field]): Write => {
		const key = keyOf(kind, name, author, room);
		const slot = slotOf(key, field);
		if (slots.has(slot)) throw new MalformedMessageError("A record writes one key twice.");
		slots.add(slot);
		let value: Uint8Array | undefined;
		if (Array.isArray(body)) {
			const beside = values[next++];
			const [hash, length] = body;
			if (!beside || beside.byteLength !== length || !equalBytes(sha256(beside), hash)) {
				throw new MalformedMessageError("A record came with other values than were signed.");
			}
			valueBytes += length;
			value = beside;
		} else if (body !== null) value = body;
		if (value) decodeValue(value);
		return { slot, key, field, value };
	});
	if (writes.length === 0 || next !== values.length) {
		throw new MalformedMessageError("A record came with other values than were signed.");
	}
	if (valueBytes > limits.cstoreTransactionBytes) {
		throw new MalformedMessageError("A record holds more than one transaction may.");
	}
	return {
		id,
		author,
		authorKey,
		stamp,
		writes,
		wire: [bytes, [...values]],
		bytes: bytes.byteLength + valueBytes + recordOverhead,
	};
}

/** What is to be written: a place and the value's CBOR, or undefined to delete it. */
export interface Intent {
	place: Place;
	field: string | undefined;
	value: Uint8Array | undefined;
}

/** The writes as they are signed, and the values that travel beside them: the first that fit go inside. */
export function layOut(intents: readonly Intent[]): { writes: CstoreWrite[]; values: Uint8Array[] } {
	const values: Uint8Array[] = [];
	let inside = 0;
	const writes = intents.map(({ place, field, value }): CstoreWrite => {
		let body: CstoreBody = null;
		if (value && inside + value.byteLength <= limits.cstoreInlineBytes) {
			inside += value.byteLength;
			body = value;
		} else if (value) {
			values.push(value);
			body = [sha256(value), value.byteLength];
		}
		return field === undefined ? [place.space, place.name, body] : [place.space, place.name, body, field];
	});
	return { writes, values };
}

/** The signed envelope of a payload of ours at `stamp`. */
export async function sealPayload(
	identity: PeerIdentity,
	stamp: number,
	payload: readonly unknown[],
): Promise<Uint8Array> {
	const time = timeOf(stamp);
	const inside = encodeCbor(payload);
	const signature = await identity.sign(envelopeBody(domain, identity.publicKey, time, stamp, inside));
	return encodeCbor([domain, identity.publicKey, time, stamp, inside, signature]);
}

const receiptBody = (tag: Uint8Array, id: string): Uint8Array => encodeCbor(["tabmesh cstore kept", tag, id]);

/** A peer's word that it keeps the record `id`, or a newer one in its place. */
export function signKept(identity: PeerIdentity, tag: Uint8Array, id: string): Promise<Uint8Array> {
	return identity.sign(receiptBody(tag, id));
}

/** Whether `signature` is the word of the peer with this raw public key that it keeps the record `id`. */
export async function isKeptBy(
	key: Uint8Array,
	tag: Uint8Array,
	id: string,
	signature: Uint8Array,
): Promise<boolean> {
	try {
		return await publicKeyFromRaw(key).verify(receiptBody(tag, id), signature);
	} catch {
		return false;
	}
}
