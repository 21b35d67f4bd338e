/** Angles in degrees, clockwise, 0 at twelve o'clock. */
export interface Arc {
	readonly from: number;
	readonly to: number;
}

/** The point at `angle` on a circle around the origin. */
export function pointAt(radius: number, angle: number): readonly [x: number, y: number] {
	const radians = ((angle - 90) * Math.PI) / 180;
	return [radius * Math.cos(radians), radius * Math.sin(radians)];
}

/** SVG path data of an arc around the origin. */
export function arcPath(radius: number, { from, to }: Arc): string {
	// A full turn has equal ends, which SVG draws as nothing.
	const end = Math.min(to, from + 359.99);
	const [x0, y0] = pointAt(radius, from);
	const [x1, y1] = pointAt(radius, end);
	const large = end - from > 180 ? 1 : 0;
	const f = (value: number) => value.toFixed(2);
	return `M${f(x0)} ${f(y0)}A${radius} ${radius} 0 ${large} 1 ${f(x1)} ${f(y1)}`;
}

/**
 * Deals a circle out to `weights`, in order and clockwise from twelve o'clock, with `gap` degrees between neighbours
 * and `seam` degrees around twelve o'clock. No arc becomes shorter than half of an even share, so that a peer with one
 * layer of eighty can still be seen and numbered.
 */
export function dealArcs(weights: readonly number[], gap: number, seam: number): Arc[] {
	if (weights.length === 0) return [];
	const room = 360 - seam - gap * (weights.length - 1);
	const least = room / weights.length / 2;
	const total = weights.reduce((sum, weight) => sum + weight, 0);
	const shared = room - least * weights.length;
	let at = seam / 2;
	return weights.map((weight) => {
		const from = at;
		const to = from + least + (total > 0 ? (shared * weight) / total : shared / weights.length);
		at = to + gap;
		return { from, to };
	});
}
