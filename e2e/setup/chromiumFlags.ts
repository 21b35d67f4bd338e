/** How tests and benches start Chromium: headless as root, silent, with loopback candidates that other tabs can reach. */
export const chromiumFlags: readonly string[] = [
	"--no-sandbox",
	"--no-first-run",
	"--disable-background-networking",
	"--disable-component-update",
	"--disable-sync",
	"--disable-quic",
	"--disable-features=WebRtcHideLocalIpsWithMdns",
	// Every tab of a ring is a background tab to all others; on several devices none would be.
	"--disable-background-timer-throttling",
	"--disable-backgrounding-occluded-windows",
	"--disable-renderer-backgrounding",
];

/** WebGPU in software: slow, but the same API and the same arithmetic rules. */
export const softwareGpu: readonly string[] = ["--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader"];
