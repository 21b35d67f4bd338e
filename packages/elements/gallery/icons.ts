import { mkdir, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { openBrowser } from "../../../e2e/setup/openBrowser.ts";

// Draws the site's icons and its picture for links from the one mark: `npm run icons -w @tabmesh/elements`.
const folder = fileURLToPath(new URL("../../../apps/home/public/icons", import.meta.url));

/** The ring of three arcs in its square of 32. */
const mark = (color: string, size: string): string => `
	<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32" width="${size}" height="${size}" fill="none"
		stroke="${color}" stroke-width="4.5">
		<path d="M18.6 4.3A12 12 0 0 1 26.1 22.5"/><path d="M23.7 25.2A12 12 0 0 1 8.3 25.2"/>
		<path d="M5.9 22.5A12 12 0 0 1 13.4 4.3"/>
	</svg>`;

/** @param share - of the square that the mark takes: systems cut a maskable icon to a circle of 80 % */
const icon = (background: string, share: string): string => `
	<body style="margin:0;display:grid;place-items:center;height:100vh;background:${background}">${mark("#a6dd70", share)}</body>`;

const card = `
	<body style="margin:0;display:grid;align-content:center;justify-items:start;gap:28px;height:100vh;padding:0 96px;
		box-sizing:border-box;background:#0f120e;color:#e7ebe2;font:600 68px/1.12 system-ui,sans-serif;letter-spacing:-0.02em">
		<div style="display:flex;align-items:center;gap:24px;font-size:44px">${mark("#a6dd70", "72px")}Tabmesh</div>
		<div style="max-width:940px">A language model that lives in browser tabs</div>
		<div style="font:400 34px/1.4 system-ui,sans-serif;letter-spacing:0;color:#9aa491">Ask the swarm, or lend this tab.</div>
	</body>`;

const pictures = [
	{ name: "192", width: 192, height: 192, page: icon("transparent", "92%") },
	{ name: "512", width: 512, height: 512, page: icon("transparent", "92%") },
	{ name: "maskable-512", width: 512, height: 512, page: icon("#0f120e", "58%") },
	{ name: "apple-touch", width: 180, height: 180, page: icon("#0f120e", "68%") },
	{ name: "link", width: 1200, height: 630, page: card },
];

await mkdir(folder, { recursive: true });
const browser = await openBrowser();
for (const { name, width, height, page: content } of pictures) {
	const page = await browser.newPage({ viewport: { width, height } });
	await page.setContent(content);
	await writeFile(`${folder}${name}.png`, await page.screenshot({ omitBackground: true }));
	await page.close();
}
await browser.close();
