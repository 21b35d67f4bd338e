import { cutEvenly, type Device, type Part, type Range } from "./bestChain.ts";

/** Numbers of pipelines that are tried, up to what the memory allows: between two of them the best one differs little. */
const NUMBERS = [1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64];

/**
 * Gives the layers of `range` to devices so that the most tokens of many streams come out in all: several pipelines side by
 * side, as equally strong as may be, in each of which all stages take about the same time within their memory (Parallax's
 * phase 1: how many pipelines, then water-filling). Of two plans that bring as much the one with more and shorter pipelines.
 *
 * @param roomOf - the most layers of the range that a device could hold
 * @returns undefined where the devices have no room for the range together
 */
export function bestPipelines<D extends Device>(
	range: Range,
	devices: readonly D[],
	roomOf: (device: D) => number,
): Part<D>[] | undefined {
	const length = range.to - range.from;
	const middle = range.from + (length >> 1);
	const rates = new Map(devices.map((device) => [device, 1 / device.time(middle, middle + 1)]));
	const quickest = devices
		.filter((device) => roomOf(device) > 0)
		.sort((a, b) => rates.get(b)! - rates.get(a)!);
	const room = quickest.reduce((sum, device) => sum + roomOf(device), 0);
	let best: { parts: Part<D>[]; throughput: number } | undefined;
	for (const number of NUMBERS) {
		if (number > 1 && (number * length > room || number > quickest.length)) break;
		const plan = pipelines(range, quickest, number, rates);
		if (plan && plan.throughput >= (best?.throughput ?? 0) * (1 - 1e-9)) best = plan;
	}
	return best?.parts;
}

function pipelines<D extends Device>(
	range: Range,
	quickest: readonly D[],
	number: number,
	rates: ReadonlyMap<D, number>,
): { parts: Part<D>[]; throughput: number } | undefined {
	const groups = Array.from({ length: number }, () => ({ devices: [] as D[], rate: 0 }));
	for (const device of quickest) {
		// The weakest pipeline gets the next strongest device.
		const group = groups.reduce((least, other) => (other.rate < least.rate ? other : least));
		if (group.devices.length === range.to - range.from) continue;
		group.devices.push(device);
		group.rate += rates.get(device)!;
	}
	const parts: Part<D>[] = [];
	let throughput = 0;
	for (const { devices } of groups) {
		const cut = cutEvenly(range, devices, bottleneckCost);
		if (!cut) continue;
		parts.push(...cut);
		throughput += 1 / Math.max(...cut.map(([{ time }, { from, to }]) => time(from, to)));
	}
	return throughput > 0 ? { parts, throughput } : undefined;
}

/** So high a power that the sum is the slowest part, nearly: it alone says how many tokens come out. */
function bottleneckCost(ms: number): number {
	return ms ** 16;
}
