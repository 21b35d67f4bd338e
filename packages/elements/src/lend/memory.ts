/** Decimal gigabyte, as {@link formatBytes} prints it. */
const GB = 1e9;

/** What the slider offers, in bytes. */
export interface MemoryChoice {
	readonly least: number;
	readonly most: number;
	readonly step: number;
	readonly sensible: number;
	/** What the browser reports, in its own GB, if it does. */
	readonly deviceGigabytes: number | undefined;
}

/**
 * How much memory a lender may offer and what is suggested.
 *
 * `deviceMemory` (Chromium only, https://www.w3.org/TR/device-memory/) is in GiB and coarse on purpose. Suggested is a
 * quarter of it, offered at most half: beyond that a desktop begins to swap. What is more than one WASM heap holds lies in
 * several. Where the browser says nothing, a phone may well be the device: iOS ends tabs at about 1.5 GB.
 */
export function memoryChoice(deviceMemoryGiB: number | undefined): MemoryChoice {
	const step = 0.25 * GB;
	if (deviceMemoryGiB === undefined || !(deviceMemoryGiB > 0))
		return { least: step, most: 4 * GB, step, sensible: 1 * GB, deviceGigabytes: undefined };
	const inSteps = (bytes: number) => Math.max(step, Math.floor(bytes / step) * step);
	return {
		least: step,
		most: inSteps((deviceMemoryGiB / 2) * GB),
		step,
		sensible: inSteps(Math.min(2, deviceMemoryGiB / 4) * GB),
		deviceGigabytes: deviceMemoryGiB,
	};
}
