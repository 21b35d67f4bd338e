import type { DeviceHistory, HistoryView } from "@tabmesh/client";
import type { ReactiveController, ReactiveControllerHost } from "lit";

/** Reads a device's history whenever it grows, and draws its element again. */
export class HistoryWatch implements ReactiveController {
	view: HistoryView | undefined;
	readonly #host: ReactiveControllerHost;
	#history: DeviceHistory | undefined;
	#reading = 0;

	constructor(host: ReactiveControllerHost) {
		this.#host = host;
		host.addController(this);
	}

	use(history: DeviceHistory | undefined): void {
		if (history === this.#history) return;
		this.#history?.removeEventListener("change", this.look);
		this.#history = history;
		this.view = undefined;
		history?.addEventListener("change", this.look);
		this.look();
	}

	hostConnected(): void {
		this.#history?.addEventListener("change", this.look);
		this.look();
	}

	hostDisconnected(): void {
		this.#history?.removeEventListener("change", this.look);
	}

	/** Of several readings that are under way the last one counts. */
	readonly look = (): void => {
		const reading = ++this.#reading;
		this.#history?.view().then(
			(view) => {
				if (reading !== this.#reading) return;
				this.view = view;
				this.#host.requestUpdate();
			},
			// A database that was cleared or closed under us: what was read stays until the next time.
			() => {},
		);
	};
}
