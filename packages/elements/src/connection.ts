import type { Tabmesh, TabmeshEvents } from "@tabmesh/client";
import type { ReactiveController, ReactiveControllerHost } from "lit";

/** Reaches a network when first called for; the app decides how, so that the network code loads only then. */
export type Connect = (signal: AbortSignal) => Promise<Tabmesh>;

/**
 * Holds an element's one connection to a network and draws the element again whenever the swarm changes. Never opens
 * anything by itself: `open()` is called by a click, or by an element for which looking costs nothing. Never closes
 * what it was handed: that belongs to the app.
 */
export class Connection implements ReactiveController {
	status: "idle" | "connecting" | "connected" | "failed" = "idle";
	tabmesh: Tabmesh | undefined;
	error: unknown;
	/** The latest thing that went wrong without ending anything, until somebody has read it. */
	notice: TabmeshEvents["notice"]["detail"] | undefined;
	readonly #host: ReactiveControllerHost;
	#attempt: AbortController | undefined;

	constructor(host: ReactiveControllerHost) {
		this.#host = host;
		host.addController(this);
	}

	readonly #onSwarm = () => this.#host.requestUpdate();
	readonly #onNotice = ({ detail }: TabmeshEvents["notice"]) => {
		this.notice = detail;
		this.#host.requestUpdate();
	};

	#listen() {
		this.tabmesh?.addEventListener("swarm", this.#onSwarm);
		this.tabmesh?.addEventListener("notice", this.#onNotice);
	}

	#unlisten() {
		this.tabmesh?.removeEventListener("swarm", this.#onSwarm);
		this.tabmesh?.removeEventListener("notice", this.#onNotice);
	}

	/** Takes a network that is open already, or lets go of it. */
	use(tabmesh: Tabmesh | undefined): void {
		if (tabmesh === this.tabmesh) return;
		this.#unlisten();
		this.#attempt?.abort();
		this.#attempt = undefined;
		this.tabmesh = tabmesh;
		this.status = tabmesh ? "connected" : "idle";
		this.error = undefined;
		this.notice = undefined;
		this.#listen();
		this.#host.requestUpdate();
	}

	/** Resolves with the network, or with undefined after a failure (see `error`) or `cancel()`. */
	async open(connect: Connect): Promise<Tabmesh | undefined> {
		if (this.tabmesh) return this.tabmesh;
		this.#attempt?.abort();
		const attempt = new AbortController();
		this.#attempt = attempt;
		this.status = "connecting";
		this.error = undefined;
		this.#host.requestUpdate();
		try {
			const tabmesh = await connect(attempt.signal);
			if (this.#attempt !== attempt) return this.tabmesh;
			this.use(tabmesh);
			return tabmesh;
		} catch (error) {
			if (this.#attempt !== attempt) return this.tabmesh;
			this.#attempt = undefined;
			this.status = "failed";
			this.error = error;
			this.#host.requestUpdate();
			return undefined;
		}
	}

	cancel(): void {
		if (this.#attempt === undefined) return;
		this.#attempt.abort();
		this.#attempt = undefined;
		this.status = "idle";
		this.#host.requestUpdate();
	}

	hostConnected(): void {
		this.#listen();
	}

	hostDisconnected(): void {
		this.#unlisten();
	}
}
