import { existsSync } from "node:fs";
import { type Browser, chromium } from "playwright-core";

/** Where distributions put Chromium. */
const wellKnown = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];

/** Chromium, headless, with WebGPU on its software adapter. */
export function openBrowser(): Promise<Browser> {
	const executablePath = [process.env.TABMESH_CHROMIUM, ...wellKnown, chromium.executablePath()].find(
		(path) => path && existsSync(path),
	);
	return chromium.launch({
		...(executablePath ? { executablePath } : {}),
		args: [
			"--no-sandbox",
			"--no-first-run",
			"--disable-background-networking",
			"--disable-component-update",
			"--disable-sync",
			"--disable-quic",
			"--enable-unsafe-webgpu",
			"--use-webgpu-adapter=swiftshader",
		],
	});
}
