const { existsSync, readdirSync, readFileSync } = require("node:fs");
const { join } = require("node:path");

// Imports run one way only, downwards, and never between rooms of one floor: docs/architecture.md draws the floors.
const floors = [
	["wire"],
	["dauth"],
	["transport"],
	["cstore"],
	["directory", "ledger", "model", "r1fs"],
	["pipeline"],
	["deeploy", "edil", "oraclesync", "audit"],
	["client"],
	["elements"],
];
// Exceptions that DESIGN decided: model stands on wire alone, workers on model and wire.
const only = { model: ["wire"] };

const rules = [];
for (const [height, rooms] of floors.entries()) {
	for (const room of rooms) {
		const allowed = only[room] ?? floors.slice(0, height).flat();
		if (room === "client") allowed.push("inference");
		rules.push({
			name: `${room}-imports-downwards`,
			comment: `packages/${room} may import ${allowed.join(", ") || "nothing of ours"}.`,
			severity: "error",
			from: { path: `^packages/${room}/`, pathNot: "\\.test\\.ts$|/gallery/|/testing/|/testSwarm\\.ts$" },
			to: {
				path: "^(packages|workers|relay|apps|bench|e2e)/",
				pathNot: [
					`^packages/${room}/`,
					...allowed.map((name) => (name === "inference" ? "^workers/inference/" : `^packages/${name}/`)),
				],
			},
		});
	}
}

// A room's face is what its package.json exports; nobody reaches past it.
const faces = ["packages", "workers", "."]
	.flatMap((parent) => readdirSync(parent, { withFileTypes: true }).map(({ name }) => join(parent, name)))
	.filter((room) => /^(packages|workers)\/|^relay$/.test(room) && existsSync(join(room, "package.json")))
	.map((room) => {
		const { exports = {} } = JSON.parse(readFileSync(join(room, "package.json"), "utf8"));
		const files = JSON.stringify(exports).match(/\.\/src\/[^"]+/g) ?? [];
		return {
			name: `${room}-has-one-face`,
			comment: `${room} is entered through ${files.join(", ")}.`,
			severity: "error",
			from: { pathNot: [`^${room}/`, "\\.test\\.ts$"] },
			to: { path: `^${room}/`, pathNot: files.map((file) => `^${room}/${file.slice(2)}$`) },
		};
	});

/** @type {import("dependency-cruiser").IConfiguration} */
module.exports = {
	forbidden: [
		...rules,
		{
			name: "workers-import-model-and-wire",
			severity: "error",
			from: { path: "^workers/([^/]+)/", pathNot: "\\.test\\.ts$" },
			to: {
				path: "^(packages|workers|relay|apps|bench|e2e)/",
				pathNot: ["^workers/$1/", "^packages/(model|wire)/"],
			},
		},
		{
			name: "relay-imports-transport-and-below",
			severity: "error",
			from: { path: "^relay/", pathNot: "\\.test\\.ts$" },
			to: { path: "^(packages|workers|apps|bench|e2e)/", pathNot: "^packages/(transport|dauth|wire)/" },
		},
		{
			name: "rooms-never-import-apps",
			comment: "Tests in a browser, and the gallery that some look at, start it as all of them do.",
			severity: "error",
			from: { path: "^(packages|workers|relay)/", pathNot: "/(browser/[^/]+\\.test|gallery/[^/]+)\\.ts$" },
			to: { path: "^(apps|bench|e2e)/" },
		},
		...faces,
		{
			name: "no-circles",
			severity: "error",
			from: {},
			to: { circular: true, viaOnly: { dependencyTypesNot: ["type-only"] } },
		},
		{
			name: "resolvable",
			severity: "error",
			from: {},
			to: { couldNotResolve: true, pathNot: "^(virtual:|.*\\?(url|worker))" },
		},
	],
	options: {
		doNotFollow: { path: "node_modules" },
		exclude: { path: "(^|/)(dist|node_modules/(?!@tabmesh))/" },
		tsPreCompilationDeps: true,
		tsConfig: { fileName: "tsconfig.json" },
		enhancedResolveOptions: {
			exportsFields: ["exports"],
			conditionNames: ["import", "node", "default", "types"],
		},
	},
};
