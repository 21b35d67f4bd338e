// A process of its own that announces itself in a room, so that it can be frozen and killed. Arguments: the relay's address, the room.
import { createIdentity } from "@tabmesh/dauth";
import { createPeer } from "@tabmesh/transport";
import { protocolVersion } from "@tabmesh/wire";
import { createDirectory } from "./createDirectory.ts";

// Whoever started it may be killed without a chance to end it.
process.on("disconnect", () => process.exit());

const [relay, room] = process.argv.slice(2);
const identity = await createIdentity();
const peer = await createPeer({ identity, relays: [relay!], agent: "test/1" });
const directory = await createDirectory({ peer, identity, room: room! });
await directory.announce({
	rooms: [room!],
	majors: [protocolVersion.oldestMajor, protocolVersion.major],
	kind: "node",
	joined: Date.now(),
});
process.send!(peer.id);
