import { spawnSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";

// Every bench, one behind the other: side by side they would measure each other.
const folder = fileURLToPath(new URL(".", import.meta.url));
let failed = 0;
for (const file of readdirSync(folder).filter((name) => name.endsWith(".ts") && name !== "all.ts")) {
	const { status } = spawnSync(process.execPath, [file, ...process.argv.slice(2)], {
		cwd: folder,
		stdio: "inherit",
	});
	if (status !== 0) failed++;
}
process.exit(failed === 0 ? 0 : 1);
