import {
	attenuateCapability,
	mintCapability,
	openIdentity,
	privateRoomId,
	readCapability,
} from "@tabmesh/dauth";
import { InvalidParameterError } from "@tabmesh/wire";
import { readInvitation } from "../invitation.ts";

/** `tabmesh room mint`: what the command line gave. */
export interface MintOptions {
	action: "mint";
	name: string;
	/** The owner's key file, made where it is missing. */
	key: string;
	actions: readonly string[];
	days: number;
	/** Peer id; without it the invitation is a link for whoever has it. */
	to?: string;
}

/** `tabmesh room attenuate`. */
export interface AttenuateOptions {
	action: "attenuate";
	capability: string;
	/** Key file of its holder, where it was given to a peer. */
	key?: string;
	actions?: readonly string[];
	days?: number;
	to?: string;
}

/** `tabmesh room show`. */
export interface ShowOptions {
	action: "show";
	capability: string;
}

export type RoomOptions = MintOptions | AttenuateOptions | ShowOptions;

const dayMs = 86_400_000;

/** Where a command about rooms writes. */
export interface RoomOutput {
	/** The invitation, or what it says. */
	print: (line: string) => void;
	/** For people, beside it. */
	note: (line: string) => void;
}

/**
 * Invitations to private rooms: made by the owner, narrowed by whoever has one, and told what they say. Nothing is
 * reached; the network learns of an invitation when it is shown.
 *
 * @throws CapabilityError, MalformedMessageError, InvalidParameterError, KeyStorageError
 */
export async function room(options: RoomOptions, { print, note }: RoomOutput): Promise<number> {
	if (options.action === "show") {
		const { actions, expires, holder, ids, notBefore, room } = await readCapability(
			await readInvitation(options.capability),
		);
		print(`room     ${room}`);
		print(`allows   ${actions.join(", ")}`);
		if (notBefore > Date.now()) print(`from     ${new Date(notBefore).toISOString()}`);
		print(`until    ${new Date(expires).toISOString()}${expires <= Date.now() ? " (over)" : ""}`);
		print(`for      ${holder ?? "whoever has it: keep it secret"}`);
		print(`passed   ${ids.length - 1} times`);
		return 0;
	}
	const to = options.to === undefined ? {} : { to: options.to };
	if (options.action === "mint") {
		const owner = await openIdentity({ file: options.key });
		const room = privateRoomId(options.name, owner.publicKey);
		const expires = Date.now() + options.days * dayMs;
		print(await mintCapability(owner, { room, actions: options.actions, expires, ...to }));
		note(`An invitation to ${room} for ${options.days} days: ${options.actions.join(", ")}.`);
		note("Links are a page's address, a # and the invitation: http://localhost:8787/chat#…");
		return 0;
	}
	const { actions, days, key } = options;
	if (actions === undefined && days === undefined && options.to === undefined) {
		throw new InvalidParameterError("Narrowed in nothing it would be the same invitation.", {
			metaMessages: ["Give --actions, --days or --to."],
		});
	}
	const holder = key === undefined ? undefined : await openIdentity({ file: key });
	const narrowing = {
		...(actions === undefined ? {} : { actions }),
		...(days === undefined ? {} : { expires: Date.now() + days * dayMs }),
		...to,
	};
	print(await attenuateCapability(await readInvitation(options.capability), narrowing, holder));
	return 0;
}
