/** Redraws of a hidden tab, where no animation frame ever comes. */
const hiddenRedrawMs = 500;

/**
 * Draws on the next frame, or a little later in a tab that nobody sees.
 *
 * @returns what calls it off
 */
export function onNextFrame(draw: () => void): () => void {
	const cancel = () => {
		cancelAnimationFrame(frame);
		clearTimeout(timer);
	};
	const once = () => {
		cancel();
		draw();
	};
	const frame = requestAnimationFrame(once);
	const timer = setTimeout(once, hiddenRedrawMs);
	return cancel;
}
