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
			from: { path: `^packages/${room}/`, pathNot: "\\.test\\.ts$|/gallery/" },
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
			severity: "error",
			from: { path: "^(packages|workers|relay)/" },
			to: { path: "^(apps|bench|e2e)/" },
		},
		{
			name: "one-face",
			comment: "A room's index (or the entries that its package.json exports) is its whole public face.",
			severity: "error",
			from: { path: "^(packages|workers|apps)/([^/]+)/|^(relay|bench|e2e)/" },
			to: {
				path: "^(packages|workers)/([^/]+)/src/|^relay/src/",
				pathNot: ["^$1/$2/", "^$3/", "/src/(index|index\\.browser|testing|relay|wallet/index)\\.ts$"],
			},
		},
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
