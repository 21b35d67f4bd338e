/** So long something must have been in plain sight before a click on it counts: longer than it takes to press twice. */
const seenMs = 600;
/** So long a pointer must have been over the frame: a frame that was moved below it at the last moment is not what was aimed at. */
const aimedMs = 200;
/** So long a click waits: what came over the button a moment before it is known by then. */
const settleMs = 300;
/** A button that is cut off by its surroundings may have its rounded corners missing, nothing else. */
const wholly = 0.99;
/** Of the box around the button, which says what it does. */
const mostly = 0.5;

/** An entry of IntersectionObserver v2, which TypeScript's library does not know. */
type SeenEntry = IntersectionObserverEntry & { readonly isVisible: boolean };

/** Why a click does not count. */
export type Refusal = "script" | "covered" | "hurried" | "unsure";

/**
 * Whether this browser can tell that an element is covered, transparent, distorted or cut off by the page around the frame
 * (IntersectionObserver v2, https://w3c.github.io/IntersectionObserver/v2/). Where it cannot, nothing may be consented to in a frame.
 */
export function canSee(): boolean {
	return "isVisible" in IntersectionObserverEntry.prototype;
}

/**
 * Lets clicks on some buttons through only when a person can have meant them: pressed by a person, in plain sight for a while, and not
 * moved below the pointer. All others stop here, before anything else hears of them.
 *
 * @param panel - its buttons come and go
 * @param guards - whether this button consents to something now
 * @param onRefused - told of every click that did not count
 */
export function guardClicks(
	panel: HTMLElement,
	guards: (button: HTMLButtonElement) => boolean,
	onRefused: (refusal: Refusal) => void,
): void {
	const root = panel.shadowRoot ?? panel;
	/** When each came into plain sight; those that are not in it are missing. */
	const seen = new WeakMap<Element, number>();
	const watched = new WeakSet<Element>();
	const observer = new IntersectionObserver(
		(entries) => {
			for (const { target, isVisible, intersectionRatio, time } of entries as SeenEntry[]) {
				const enough = intersectionRatio >= (target instanceof HTMLButtonElement ? wholly : mostly);
				if (!isVisible || !enough) seen.delete(target);
				else if (!seen.has(target)) seen.set(target, time);
			}
		},
		// Chromium looks no more often than this where it has to tell what is covered.
		{ threshold: [0, mostly, wholly, 1], trackVisibility: true, delay: 100 } as IntersectionObserverInit,
	);
	const watch = (element: Element | null): void => {
		if (element === null || watched.has(element)) return;
		watched.add(element);
		observer.observe(element);
	};
	const watchAll = (): void => {
		for (const button of root.querySelectorAll("button")) {
			watch(button);
			watch(boxOf(button));
		}
	};
	new MutationObserver(watchAll).observe(root, { childList: true, subtree: true });
	watchAll();
	// Buttons of elements inside it are found when somebody comes near them.
	for (const near of ["pointerover", "focusin"]) {
		panel.addEventListener(near, (event) => watch(buttonIn(event) ?? null));
	}

	/** When the pointer came into this frame; undefined while it is elsewhere. */
	let entered: number | undefined;
	document.documentElement.addEventListener("pointerenter", ({ timeStamp }) => {
		entered = timeStamp;
	});
	document.documentElement.addEventListener("pointerleave", () => {
		entered = undefined;
	});

	const inSight = (button: Element, now: number): boolean =>
		[button, boxOf(button)].every(
			(element) => element === null || now - (seen.get(element) ?? now) >= seenMs,
		);
	const refusalOf = (event: Event, button: Element): Refusal | undefined => {
		if (!event.isTrusted) return "script";
		if (!canSee()) return "unsure";
		if (!inSight(button, event.timeStamp)) return "covered";
		const isByMouse = event instanceof PointerEvent && event.pointerType === "mouse";
		return isByMouse && event.timeStamp - (entered ?? event.timeStamp) < aimedMs ? "hurried" : undefined;
	};
	let passing = false;
	addEventListener(
		"click",
		(event) => {
			const button = buttonIn(event);
			if (passing || !button || !event.composedPath().includes(panel) || !guards(button)) return;
			event.preventDefault();
			event.stopImmediatePropagation();
			const refusal = refusalOf(event, button);
			if (refusal) return onRefused(refusal);
			setTimeout(() => {
				if (!inSight(button, performance.now())) return onRefused("covered");
				passing = true;
				button.click();
				passing = false;
			}, settleMs);
		},
		true,
	);
}

function boxOf(button: Element): Element | null {
	return button.closest("[part~=panel]");
}

function buttonIn(event: Event): HTMLButtonElement | undefined {
	return event.composedPath().find((node) => node instanceof HTMLButtonElement);
}
