import { catalog, modelNeeds } from "@tabmesh/model";
import { formatSize } from "../optionValues.ts";

/** `tabmesh models`: the catalogue as a table, its columns as wide as their content. */
export function modelsTable(): string {
	const head = ["ID", "MODEL", "LICENCE", "CONTEXT", "DOWNLOAD", "MEMORY f32", "q8", "q4"];
	const rows = Object.entries(catalog).map(([id, entry]) => {
		const { downloadBytes, weightBytes } = modelNeeds(entry);
		const { f32, q8, q4 } = weightBytes;
		const sizes = [downloadBytes, f32, q8, q4].map((bytes) => formatSize(bytes));
		return [id, entry.title, entry.license, String(entry.config.contextLength), ...sizes];
	});
	const widths = head.map((_, column) => Math.max(...[head, ...rows].map((row) => row[column]?.length ?? 0)));
	// Words to the left, numbers to the right.
	const lines = [head, ...rows].map((row) =>
		row.map((cell, i) => (i < 3 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!))).join("  "),
	);
	return lines.join("\n");
}
