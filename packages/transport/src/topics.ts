import { type GossipSub, TopicValidatorResult } from "@libp2p/gossipsub";
import {
	EnvelopeTimeError,
	FloodError,
	InvalidParameterError,
	MessageTooLargeError,
	ReplayedEnvelopeError,
} from "@tabmesh/wire";
import type { Offence, Topic, TopicOptions } from "./peer.ts";

/** Distinct messages per second and topic that one neighbour other than a relay may hand us, and how many at once. */
const messagesPerSecond = 50;
const messagesAtOnce = 500;

/** How long after joining a topic, or meeting a relay, a publication waits for the relay to follow that topic: one round trip, and a lot. */
const followMs = 10_000;

/** Topics whose names begin so carry shared state and are followed by relays; others go from peer to peer only. */
export const relayedTopics = "tabmesh/cstore/";

export interface TopicsInit {
	gossip: GossipSub;
	report: (peer: string, offence: Offence) => void;
	/** Relays hand on what they cannot judge, for everybody: they are not blamed for it. */
	isRelay: (peer: string) => boolean;
	/** The relays we are connected to, and since when, in milliseconds since 1970. */
	relays: () => readonly { peer: string; since: number }[];
}

interface Budget {
	messages: number;
	at: number;
}

/** The gossip topics of one peer. */
export class Topics {
	readonly #init: TopicsInit;
	readonly #budgets = new Map<string, Budget>();

	constructor(init: TopicsInit) {
		this.#init = init;
	}

	join(name: string, options: TopicOptions): Topic {
		const { gossip } = this.#init;
		if (gossip.topicValidators.has(name)) {
			throw new InvalidParameterError(`The topic ${name} was joined already.`);
		}
		let joined = true;
		const since = Date.now();
		gossip.topicValidators.set(name, async (peer, { data }) => {
			const from = peer.toString();
			try {
				this.#spend(from);
				if (data.byteLength > options.maxMessageBytes) {
					throw new MessageTooLargeError(`A message on ${name} is too long.`);
				}
				await options.onMessage(data, from);
				return TopicValidatorResult.Accept;
			} catch (error) {
				// Old news reach honest neighbours late, and by several ways.
				if (error instanceof ReplayedEnvelopeError || error instanceof EnvelopeTimeError) {
					return TopicValidatorResult.Ignore;
				}
				if (!this.#init.isRelay(from)) {
					this.#init.report(from, error instanceof FloodError ? "flood" : "malformed");
				}
				return error instanceof FloodError ? TopicValidatorResult.Ignore : TopicValidatorResult.Reject;
			}
		});
		gossip.subscribe(name);
		return {
			publish: async (message) => {
				if (!joined) throw new InvalidParameterError(`The topic ${name} was left.`);
				if (message.byteLength > options.maxMessageBytes) {
					throw new MessageTooLargeError(
						`A message on ${name} may have ${options.maxMessageBytes} bytes at most.`,
					);
				}
				if (name.startsWith(relayedTopics)) await this.#followed(name, since);
				if (joined) await gossip.publish(name, message);
			},
			leave: () => {
				if (!joined) return;
				joined = false;
				// A peer that has stopped has left all of them.
				if (gossip.getTopics().includes(name)) gossip.unsubscribe(name);
				gossip.topicValidators.delete(name);
			},
		};
	}

	/** Waits for relays that have only just heard of the topic: what is published before they follow it reaches nobody. */
	#followed(name: string, since: number): Promise<void> | undefined {
		const { gossip, relays } = this.#init;
		let due = 0;
		const waiting = (): boolean => {
			const followers = new Set(gossip.getSubscribers(name).map(String));
			const missing = relays().filter(({ peer }) => !followers.has(peer));
			const left = missing.map((relay) => Math.max(since, relay.since) + followMs - Date.now());
			// A clock that was put back leaves no more to wait for than there was.
			due = Math.min(followMs, Math.max(0, ...left));
			return due > 0;
		};
		if (!waiting()) return undefined;
		return new Promise((resolve) => {
			const done = (): void => {
				clearTimeout(timer);
				gossip.removeEventListener("subscription-change", changed);
				resolve();
			};
			const changed = (): void => {
				if (!waiting()) done();
			};
			const timer = setTimeout(done, due);
			gossip.addEventListener("subscription-change", changed);
		});
	}

	#spend(from: string): void {
		if (this.#init.isRelay(from)) return;
		const now = performance.now();
		const budget = this.#budgets.get(from) ?? { messages: messagesAtOnce, at: now };
		budget.messages = Math.min(
			messagesAtOnce,
			budget.messages + ((now - budget.at) / 1000) * messagesPerSecond,
		);
		budget.at = now;
		this.#budgets.set(from, budget);
		if (budget.messages < 1) throw new FloodError("A peer publishes without end.");
		budget.messages -= 1;
	}

	/** Forgets what a neighbour used up. */
	forget(peer: string): void {
		this.#budgets.delete(peer);
	}
}
