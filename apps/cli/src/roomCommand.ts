import { Command, Option } from "commander";
import type { RoomOptions } from "./commands/room.ts";
import { parseCount } from "./optionValues.ts";

const list = (text: string): string[] => text.split(",").map((part) => part.trim());
/** A century: a capability must end some day. */
const mostDays = 36_500;
const days = (text: string): number => parseCount(text, "--days", 1, mostDays);

/**
 * `tabmesh room`: invitations to private rooms.
 *
 * @param room - what it calls; resolves with an exit status
 */
export function roomCommand(room: (options: RoomOptions) => Promise<void>): Command {
	const command = new Command("room").description(
		"Invite people to a private room, or see what an invitation says.",
	);
	command
		.command("mint")
		.description("Make an invitation to a room of yours; the room is new with its first one.")
		.argument("<name>", "the room's name: up to 20 letters, digits, _ or -")
		.requiredOption("--key <file>", "your key file, made where it is missing: it owns the room")
		.addOption(
			new Option("--actions <list>", "what it allows").argParser(list).default(["ask", "lend"], "ask,lend"),
		)
		.addOption(new Option("--days <n>", "how long it holds").argParser(days).default(30))
		.option("--to <peer>", "for this peer alone (default: a link for whoever has it)")
		.action((name: string, values: object) => room({ action: "mint", name, ...values } as RoomOptions));
	command
		.command("attenuate")
		.description("Make a narrower invitation from one that you have. Nobody needs to be asked.")
		.argument("<capability>", "the invitation, its link, or a file with it")
		.addOption(new Option("--actions <list>", "what it allows").argParser(list))
		.addOption(new Option("--days <n>", "how long it holds").argParser(days))
		.option("--to <peer>", "for this peer alone")
		.option("--key <file>", "your key file, where the invitation was given to your peer alone")
		.action((capability: string, values: object) =>
			room({ action: "attenuate", capability, ...values } as RoomOptions),
		);
	command
		.command("show")
		.description("Tell what an invitation says.")
		.argument("<capability>", "the invitation, its link, or a file with it")
		.action((capability: string) => room({ action: "show", capability }));
	return command.addHelpText(
		"after",
		`
Examples:
  tabmesh room mint family --key owner.pem > invitation
  tabmesh start --room "$(tabmesh room show invitation | sed -n 's/^room *//p')"
  tabmesh lend --capability ./invitation
  tabmesh room attenuate invitation --actions ask --days 1`,
	);
}
