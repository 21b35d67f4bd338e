import { existsSync } from "node:fs";
import { type Browser, chromium } from "playwright-core";

/** Where Debian, Ubuntu and Fedora put it; anything else is named by TABMESH_CHROMIUM. */
const wellKnown = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];

/** A headless Chromium: the one of TABMESH_CHROMIUM, else the system's, else Playwright's own. */
export function launchChromium(): Promise<Browser> {
	const executablePath = process.env.TABMESH_CHROMIUM ?? wellKnown.find((path) => existsSync(path));
	return chromium.launch({
		...(executablePath === undefined ? {} : { executablePath }),
		args: [
			"--no-sandbox",
			"--no-first-run",
			"--disable-background-networking",
			"--disable-component-update",
			"--disable-sync",
			"--disable-quic",
		],
	});
}
