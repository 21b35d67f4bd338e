import type { DeviceState } from "./lendPreferences.ts";

/** As long as BOINC waits after the last key or movement. */
const idleAfterMs = 3 * 60_000;
/** Looking more often than this would tell nobody anything sooner that matters. */
const idleCheckMs = 10_000;
/** The shortest that browsers allow. */
const idleDetectorMs = 60_000;

/** https://www.w3.org/TR/battery-status/, which only Chromium has. */
interface Battery extends EventTarget {
	readonly charging: boolean;
}

/** https://wicg.github.io/netinfo/, which Chromium has in parts. */
interface NetworkInformation extends EventTarget {
	readonly saveData?: boolean;
	readonly type?: string;
}

/** https://wicg.github.io/idle-detection/, which only Chromium has. */
interface IdleDetector extends EventTarget {
	readonly userState: "active" | "idle" | null;
	readonly screenState: "locked" | "unlocked" | null;
	start(options: { threshold: number; signal: AbortSignal }): Promise<void>;
}

interface Sensors {
	readonly navigator?: {
		getBattery?(): Promise<Battery>;
		readonly connection?: NetworkInformation;
		readonly permissions?: { query(what: { name: string }): Promise<{ readonly state: string }> };
	};
	readonly IdleDetector?: {
		new (): IdleDetector;
		requestPermission(): Promise<"granted" | "denied">;
	};
}

const sensors = globalThis as unknown as Sensors;

/** What wakes a page's own clock of inactivity. */
const signsOfUse = ["pointerdown", "pointermove", "keydown", "wheel", "scroll", "focus"];

/** Whether each byte costs the owner; undefined where the browser does not say. */
export function isMetered(): boolean | undefined {
	const connection = sensors.navigator?.connection;
	if (!connection) return undefined;
	return connection.saveData === true || connection.type === "cellular";
}

/** Whether this browser could tell when nobody uses the device, if its owner let it. */
export function mayDetectIdle(): boolean {
	return sensors.IdleDetector !== undefined;
}

/** What a device tells about itself, kept up to date. */
export class DeviceWatch {
	#state: DeviceState;
	readonly #onChange: () => void;
	readonly #stopping = new AbortController();
	#usedAt = Date.now();
	#idleCheck: ReturnType<typeof setInterval> | undefined;

	/** @param onChange - called after `state` became another */
	constructor(onChange: () => void) {
		this.#onChange = onChange;
		this.#state = { power: "unknown", metered: isMetered(), idle: false, idleOf: "page" };
		const { signal } = this.#stopping;
		const { navigator } = sensors;
		const onNetwork = (): void => this.#become({ metered: isMetered() });
		navigator?.connection?.addEventListener?.("change", onNetwork, { signal });
		void this.#watchPower();
		if (!("document" in globalThis)) return;
		for (const sign of signsOfUse) globalThis.addEventListener(sign, this.#onUse, { signal, passive: true });
		this.#idleCheck = setInterval(() => this.#look(), idleCheckMs);
		void this.#detectIdleIfPermitted();
	}

	get state(): DeviceState {
		return this.#state;
	}

	/**
	 * Asks the owner to let this page see when nobody uses the device. To be called by a click.
	 *
	 * @returns whether it may
	 */
	async askForIdle(): Promise<boolean> {
		const detector = sensors.IdleDetector;
		const allowed = (await detector?.requestPermission().catch(() => "denied")) === "granted";
		if (allowed) await this.#detectIdle();
		return this.#state.idleOf === "device";
	}

	stop(): void {
		this.#stopping.abort();
		clearInterval(this.#idleCheck);
	}

	async #watchPower(): Promise<void> {
		const battery = await sensors.navigator?.getBattery?.().catch(() => undefined);
		if (!battery || this.#stopping.signal.aborted) return;
		const look = (): void => this.#become({ power: battery.charging ? "plugged" : "battery" });
		battery.addEventListener("chargingchange", look, { signal: this.#stopping.signal });
		look();
	}

	async #detectIdleIfPermitted(): Promise<void> {
		if (!sensors.IdleDetector) return;
		const permission = await sensors.navigator?.permissions
			?.query({ name: "idle-detection" })
			.catch(() => undefined);
		if (permission?.state === "granted") await this.#detectIdle();
	}

	async #detectIdle(): Promise<void> {
		if (!sensors.IdleDetector || this.#state.idleOf === "device") return;
		const detector = new sensors.IdleDetector();
		const look = (): void =>
			this.#become({
				idle: detector.userState === "idle" || detector.screenState === "locked",
				idleOf: "device",
			});
		try {
			detector.addEventListener("change", look);
			await detector.start({ threshold: idleDetectorMs, signal: this.#stopping.signal });
			look();
		} catch {
			// Refused after all: the page's own clock goes on.
		}
	}

	readonly #onUse = (): void => {
		this.#usedAt = Date.now();
		if (this.#state.idle) this.#look();
	};

	#look(): void {
		if (this.#state.idleOf === "page") this.#become({ idle: Date.now() - this.#usedAt >= idleAfterMs });
	}

	#become(change: Partial<DeviceState>): void {
		if (this.#stopping.signal.aborted) return;
		const before = this.#state;
		this.#state = { ...before, ...change };
		const { power, metered, idle, idleOf } = this.#state;
		if (
			power === before.power &&
			metered === before.metered &&
			idle === before.idle &&
			idleOf === before.idleOf
		)
			return;
		this.#onChange();
	}
}
