import { TypedEventEmitter } from "main-event";
import * as v from "valibot";
import {
	type DeviceState,
	type LendPreferences,
	type LendVerdict,
	lendPreferencesSchema,
	mayLend,
} from "./lendPreferences.ts";
import { DeviceWatch, mayDetectIdle } from "./watchDevice.ts";

const storageKey = "tabmesh-lend-preferences";
/** Clocks are set anew, and timers do not run while a device sleeps: what hangs on the time is looked at this often, too. */
const lookEveryMs = 30_000;

/** What the owner wishes, what the device tells, and what follows. */
export interface PreferencesView {
	readonly wishes: LendPreferences;
	readonly device: DeviceState;
	readonly verdict: LendVerdict;
	/** Whether the browser could tell when nobody uses the device, if the owner let it. */
	readonly mayDetectIdle: boolean;
}

interface DevicePreferencesEvents {
	/** A wish, the device or what follows from them changed, here or by another tab. */
	change: Event;
}

/** When and how much this device lends, by its owner's wish. Kept on the device, the same for all tabs of an origin. */
export interface DevicePreferences {
	/** A fresh object at every `change` event. */
	readonly view: PreferencesView;
	set(wishes: Partial<LendPreferences>): void;
	/** Asks the owner to let the page see when nobody uses the device: by a click. @returns whether it may */
	askForIdle(): Promise<boolean>;
	addEventListener<K extends keyof DevicePreferencesEvents>(
		type: K,
		listener: (event: DevicePreferencesEvents[K]) => void,
	): void;
	removeEventListener<K extends keyof DevicePreferencesEvents>(
		type: K,
		listener: (event: DevicePreferencesEvents[K]) => void,
	): void;
}

/** The preferences of this device; in Node, and where the browser keeps nothing, they last as long as the process. */
export class KeptPreferences extends TypedEventEmitter<DevicePreferencesEvents> implements DevicePreferences {
	readonly #watch: DeviceWatch;
	readonly #looking: ReturnType<typeof setInterval>;
	#wishes: LendPreferences;
	#view: PreferencesView;
	#timer: ReturnType<typeof setTimeout> | undefined;

	constructor() {
		super();
		this.#wishes = readKept();
		this.#watch = new DeviceWatch(() => this.#look());
		this.#view = this.#now();
		this.#looking = setInterval(() => this.#look(), lookEveryMs);
		// A process that has nothing else to do may end.
		(this.#looking as { unref?(): void }).unref?.();
		globalThis.addEventListener?.("storage", this.#onStorage);
		this.#wait();
	}

	get view(): PreferencesView {
		return this.#view;
	}

	set(wishes: Partial<LendPreferences>): void {
		this.#wishes = v.parse(lendPreferencesSchema, { ...this.#wishes, ...wishes });
		try {
			globalThis.localStorage?.setItem(storageKey, JSON.stringify(this.#wishes));
		} catch {
			// Private windows and blocked site data: it holds until the page is closed.
		}
		this.#look(true);
	}

	askForIdle(): Promise<boolean> {
		return this.#watch.askForIdle();
	}

	close(): void {
		this.#watch.stop();
		clearInterval(this.#looking);
		clearTimeout(this.#timer);
		globalThis.removeEventListener?.("storage", this.#onStorage);
	}

	readonly #onStorage = (event: Event): void => {
		const { key } = event as StorageEvent;
		if (key !== storageKey && key !== null) return;
		this.#wishes = readKept();
		this.#look(true);
	};

	#now(): PreferencesView {
		const device = this.#watch.state;
		return {
			wishes: this.#wishes,
			device,
			verdict: mayLend(this.#wishes, device, Date.now()),
			mayDetectIdle: mayDetectIdle(),
		};
	}

	#look(changed = false): void {
		const before = this.#view;
		const view = this.#now();
		this.#wait();
		if (
			!changed &&
			view.device === before.device &&
			view.verdict.why === before.verdict.why &&
			view.verdict.until === before.verdict.until
		)
			return;
		this.#view = view;
		this.dispatchEvent(new Event("change"));
	}

	/** Looks again when the clock changes what follows; long timers overflow, and the regular look is there for them. */
	#wait(): void {
		clearTimeout(this.#timer);
		const { until } = mayLend(this.#wishes, this.#watch.state, Date.now());
		if (until === undefined || until - Date.now() > lookEveryMs) return;
		this.#timer = setTimeout(() => this.#look(), until - Date.now());
		(this.#timer as { unref?(): void }).unref?.();
	}
}

function readKept(): LendPreferences {
	try {
		return v.parse(lendPreferencesSchema, JSON.parse(globalThis.localStorage?.getItem(storageKey) ?? "{}"));
	} catch {
		return v.parse(lendPreferencesSchema, {});
	}
}
