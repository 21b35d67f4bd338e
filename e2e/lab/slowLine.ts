import { createSocket, type RemoteInfo, type Socket } from "node:dgram";
import { once } from "node:events";
import { seeded } from "./seeded.ts";

const loopback = "127.0.0.1";

/** What Node's timers are late by on average, which count whole milliseconds (measured: 0.8 ms). */
const timerLateMs = 0.8;
/** So much too early is on time: another turn of the timer would make it a millisecond too late. */
const earlyMs = 0.2;

/** Room for what comes while the process is busy; the system gives what it allows. */
const socketBytes = 4 * 1024 * 1024;

/** What happens to datagrams on their way to the server. */
export interface LineQuality {
	/** One way. */
	readonly delayMs: number;
	/** Up to so much more or less, evenly spread; the order stays. @default 0 */
	readonly jitterMs?: number;
	/** Share of datagrams that are lost. @default 0 */
	readonly loss?: number;
}

/** What happened so far. */
export interface LineCounts {
	readonly carried: number;
	readonly lost: number;
	/** Mean time for which datagrams were held. */
	readonly heldMs: number;
}

interface Held {
	readonly datagram: Uint8Array;
	readonly came: number;
	readonly due: number;
	readonly client: Client;
}

/** One address at our port has a socket of its own towards the server, which tells clients apart by address. */
interface Client {
	readonly socket: Socket;
	readonly draw: () => number;
	lastDue: number;
}

/**
 * A UDP proxy on loopback that holds back and drops what goes **to** the server; answers come at once. Two peers that
 * meet through a TURN server behind it hear of each other after exactly one such delay: what A sends passes the line on
 * its way to the server, and not a second time on its way down to B.
 */
export class SlowLine {
	quality: Required<LineQuality>;
	readonly #serverPort: number;
	readonly #seed: number;
	readonly #socket = createSocket("udp4");
	readonly #clients = new Map<number, Client>();
	/** By the time at which they are due. */
	readonly #held: Held[] = [];
	#timer: ReturnType<typeof setTimeout> | undefined;
	#carried = 0;
	#lost = 0;
	#heldMs = 0;

	constructor(serverPort: number, quality: LineQuality, seed: number) {
		this.#serverPort = serverPort;
		this.#seed = seed;
		this.quality = { jitterMs: 0, loss: 0, ...quality };
		this.#socket.on("message", (datagram, from) => this.#take(datagram, from));
	}

	/** @returns the port at which clients reach the server */
	async open(): Promise<number> {
		this.#socket.bind(0, loopback);
		await once(this.#socket, "listening");
		this.#socket.setRecvBufferSize(socketBytes);
		return this.#socket.address().port;
	}

	/** Since the last call. */
	takeCounts(): LineCounts {
		const counts = {
			carried: this.#carried,
			lost: this.#lost,
			heldMs: this.#carried > 0 ? this.#heldMs / this.#carried : 0,
		};
		this.#carried = 0;
		this.#lost = 0;
		this.#heldMs = 0;
		return counts;
	}

	close(): void {
		clearTimeout(this.#timer);
		this.#socket.close();
		for (const { socket } of this.#clients.values()) socket.close();
	}

	#take(datagram: Uint8Array, { port }: RemoteInfo): void {
		const came = performance.now();
		const { delayMs, jitterMs, loss } = this.quality;
		const client = this.#client(port);
		if (loss > 0 && client.draw() < loss) {
			this.#lost++;
			return;
		}
		const jitter = jitterMs > 0 ? (2 * client.draw() - 1) * jitterMs : 0;
		// A queue does not let anybody overtake.
		const due = Math.max(client.lastDue, came + Math.max(0, delayMs + jitter));
		client.lastDue = due;
		const held = { datagram, came, due, client };
		let place = this.#held.length;
		while (place > 0 && this.#held[place - 1]!.due > due) place--;
		this.#held.splice(place, 0, held);
		if (place === 0) this.#release();
	}

	#client(port: number): Client {
		const known = this.#clients.get(port);
		if (known) return known;
		const socket = createSocket("udp4");
		socket.on("message", (answer) => this.#socket.send(answer, port, loopback));
		// The server is gone, and so will this line be in a moment.
		socket.on("error", () => {});
		const client = { socket, draw: seeded(this.#seed + this.#clients.size), lastDue: 0 };
		this.#clients.set(port, client);
		return client;
	}

	#release(): void {
		clearTimeout(this.#timer);
		const now = performance.now();
		while (this.#held.length > 0 && this.#held[0]!.due <= now + earlyMs) {
			const { datagram, came, client } = this.#held.shift()!;
			client.socket.send(datagram, this.#serverPort, loopback);
			this.#carried++;
			this.#heldMs += now - came;
		}
		const next = this.#held[0];
		if (next) this.#timer = setTimeout(() => this.#release(), Math.max(0, next.due - now - timerLateMs));
	}
}
