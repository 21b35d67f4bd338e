import { run } from "./run.ts";

// Whoever reads us may stop early (`tabmesh ask … | head`): that is no error.
process.stdout.on("error", (error: NodeJS.ErrnoException) => process.exit(error.code === "EPIPE" ? 0 : 1));
process.exitCode = await run(process.argv.slice(2));
// ONNX Runtime and WebRTC keep native threads of their own, which would hold the process open.
process.stdout.write("", () => process.exit());
