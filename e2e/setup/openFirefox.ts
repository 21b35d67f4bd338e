import { type Browser, launch } from "puppeteer-core";

/** Firefox over WebDriver BiDi: Playwright's own builds of it cannot be had everywhere. */
export function openFirefox(executablePath: string): Promise<Browser> {
	return launch({
		browser: "firefox",
		executablePath,
		headless: true,
		extraPrefsFirefox: {
			// As with Chromium: names that only multicast DNS knows lead nowhere in a container.
			"media.peerconnection.ice.obfuscate_host_addresses": false,
			"media.peerconnection.ice.loopback": true,
		},
	});
}
