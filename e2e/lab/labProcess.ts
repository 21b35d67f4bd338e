// The latency lab's own process: a line with a TURN server behind it. Of its own because timers must not wait for whoever
// measures, and because it takes the server with it when that one is gone, however it went.

import type { LabAnswer, LabOrder } from "./latencyLab.ts";
import { SlowLine } from "./slowLine.ts";
import { startTurnServer } from "./turnServer.ts";

const [path, seed] = process.argv.slice(2);
const server = await startTurnServer(path!);
const line = new SlowLine(server.port, { delayMs: 0 }, Number(seed));
const tell = (answer: LabAnswer): void => void process.send?.(answer);

process.once("exit", () => server.stop());
process.once("disconnect", () => process.exit(0));
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => process.exit(0));
process.on("message", ({ quality }: LabOrder) => {
	const counts = line.takeCounts();
	if (quality) line.quality = { jitterMs: 0, loss: 0, ...quality };
	tell({ counts });
});
tell({ port: await line.open(), serverPid: server.pid });
