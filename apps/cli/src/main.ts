import { run } from "./run.ts";

process.exitCode = await run(process.argv.slice(2));
// ONNX Runtime and WebRTC keep native threads of their own, which would hold the process open.
process.stdout.write("", () => process.exit());
