// Writes docs/limits.md from the constants in the code and the comments above them, so that the page cannot go stale.
// `node docs/limits.ts` writes it, `node docs/limits.ts --check` fails when it is not what the code says.
import { globSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const page = `${root}docs/limits.md`;
const rooms = [
	"packages/wire",
	"packages/dauth",
	"packages/transport",
	"packages/directory",
	"packages/cstore",
	"packages/r1fs",
	"packages/model",
	"packages/pipeline",
	"packages/client",
	"workers/inference",
	"relay",
	"apps/cli",
	"apps/embed",
];

interface Limit {
	name: string;
	value: string;
	reason: string;
}

/** The comment that ends on the line before `at`, as one sentence or two. */
function commentBefore(lines: readonly string[], at: number): string {
	const comment: string[] = [];
	for (let i = at - 1; i >= 0 && /^\s*(\/\*\*|\*|\/\/)/.test(lines[i]!); i--) comment.unshift(lines[i]!);
	return comment
		.map((line) =>
			line
				.replace(/^\s*(\/\*\*|\*\/|\*|\/\/)/, "")
				.replace(/\*\/\s*$/, "")
				.trim(),
		)
		.filter((line) => !line.startsWith("@"))
		.join(" ")
		.replaceAll("|", "\\|")
		.replaceAll(/ {2,}/g, " ")
		.trim();
}

/** Constants that are numbers, alone or as members of an object called `limits`, and that come with a reason. */
function limitsOf(source: string): Limit[] {
	const lines = source.split("\n");
	const found: Limit[] = [];
	let inLimits = false;
	let inherited = "";
	for (const [at, line] of lines.entries()) {
		if (/^export const limits = \{/.test(line)) inLimits = true;
		if (inLimits && line.startsWith("}")) inLimits = false;
		const match = inLimits
			? /^\t(\w+): ([^,]*\d[^,]*),$/.exec(line)
			: /^(?:export )?const (\w+)(?:: number)? = (-?[\d_.]+n?(?: [*/+-] .+)?|.*\b[KM]iB\b.*);$/.exec(line);
		if (!match) continue;
		const own = commentBefore(lines, at);
		// A group of constants under one comment shares it.
		const reason = own || (/^(?:export )?const /.test(lines[at - 1] ?? "") ? inherited : "");
		inherited = reason;
		if (reason && !/^[KM]iB$/.test(match[1]!))
			found.push({ name: match[1]!, value: match[2]!.replaceAll("_", "\u202f"), reason });
	}
	return found;
}

function write(): string {
	let text = "# Limits and defaults\n\n";
	text +=
		"Every number that bounds something, with its reason. Written by `node docs/limits.ts` from the code itself; `npm run check` fails when the two differ.\n";
	for (const room of rooms) {
		const files = globSync(`${room}/src/**/*.ts`, { cwd: root })
			.filter((file) => !/\.test\.ts$|\/testing\/|\.d\.ts$/.test(file))
			.sort();
		const rows = files.flatMap((file) =>
			limitsOf(readFileSync(root + file, "utf8")).map(
				({ name, value, reason }) => `| [\`${name}\`](../${file}) | ${value} | ${reason} |`,
			),
		);
		if (rows.length > 0) text += `\n## ${room}\n\n| | value | why |\n|---|---|---|\n${rows.join("\n")}\n`;
	}
	return text;
}

const text = write();
if (process.argv.includes("--check")) {
	if (readFileSync(page, "utf8") !== text) {
		console.error("docs/limits.md is not what the code says. Run: node docs/limits.ts");
		process.exit(1);
	}
} else {
	writeFileSync(page, text);
}
