import { availableParallelism, totalmem } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { connect, type Lender, type Tabmesh } from "@tabmesh/client";
import { InvalidParameterError, PeerUnreachableError } from "@tabmesh/wire";
import { checkInvitation } from "../checkInvitation.ts";
import { stateKey, stateLine, stateRecord } from "../lenderLines.ts";
import { keepToCores, lowerPriority } from "../limitProcess.ts";
import { formatSize } from "../optionValues.ts";
import { LoadGate, loadEveryMs, othersShare, processorTimes } from "../processorLoad.ts";
import { type Schedule, scheduleAt } from "../schedule.ts";

/** `tabmesh lend`: what the command line gave. */
export interface LendCommandOptions {
	relay: string;
	/** Bytes. */
	memory: number;
	model?: string;
	/** A small model of the same vocabulary that guesses tokens. */
	draftModel?: string;
	/** @default what `cores` says, else two where there are two */
	threads?: number;
	/** Processors that the whole process may use. */
	cores?: number;
	/** 0 to 19. */
	nice: number;
	/** When to lend. @default always */
	schedule?: Schedule;
	/** Per cent of the processors that other programs may use before we pause. */
	maxLoad?: number;
	room?: string;
	/** An invitation to a private room: the word, its link, or a file with it. */
	capability?: string;
	keyFile?: string;
	/** Whether weights stay on the disk. */
	keep: boolean;
	/** How long running answers may take to finish when we leave, in seconds. */
	finish: number;
	/** Lines for programs. */
	json?: boolean;
	cacheDir: string;
}

/** A relay that is gone at night may be back in a minute, or after its update. */
const firstRetryMs = 5_000;
const longestRetryMs = 300_000;
/** As many as nearly every machine has. Four layers of TinyLlama take 65 ms a token with one, 36 with two; tiny models gain nothing. */
const sensibleThreads = 2;
/** The longest time that a timer takes, and one after which a changed clock is noticed. */
const longestSleepMs = 3_600_000;

function checkMachine({ memory, threads, cores }: LendCommandOptions): void {
	if (memory > totalmem()) {
		throw new InvalidParameterError(
			`--memory (TABMESH_MEMORY) takes what this machine has at most, ${formatSize(totalmem())}, not ${formatSize(memory)}.`,
		);
	}
	const here = availableParallelism();
	if (cores !== undefined && cores > here) {
		throw new InvalidParameterError(`--cores (TABMESH_CORES) takes at most ${here} here, not "${cores}".`);
	}
	if (cores !== undefined && threads !== undefined && threads > cores) {
		throw new InvalidParameterError(
			`${threads} --threads on ${cores} --cores would only wait for each other.`,
			{ metaMessages: ["Leave --threads out, or give more --cores."] },
		);
	}
}

/** Prints states as lines or as JSON. */
class Report {
	readonly #print: (line: string) => void;
	readonly #json: boolean;

	constructor(print: (line: string) => void, json: boolean) {
		this.#print = print;
		this.#json = json;
	}

	say(line: string, record: Record<string, unknown>): void {
		this.#print(this.#json ? JSON.stringify({ time: new Date().toISOString(), ...record }) : line);
	}
}

/**
 * Lends this machine until `signal` says stop, within the schedule where there is one, and prints each new state. Lets
 * running answers finish and says goodbye before it returns.
 *
 * @returns the exit status: 0 after a stop that was asked for
 * @throws what ended the lender where it failed; InvalidParameterError for what this machine does not have
 */
export async function lend(
	options: LendCommandOptions,
	print: (line: string) => void,
	signal: AbortSignal,
): Promise<number> {
	checkMachine(options);
	if (options.capability !== undefined) {
		options = { ...options, capability: await checkInvitation(options.capability) };
	}
	lowerPriority(options.nice);
	const report = new Report(print, options.json ?? false);
	if (options.cores !== undefined && !keepToCores(options.cores)) {
		const note = `this system keeps no program to some of its cores: only the computing threads are limited`;
		report.say(note, { phase: "starting", note });
	}
	for (let times = 0; !signal.aborted; times++) {
		const until = await untilOpen(options.schedule, report, signal);
		if (signal.aborted) break;
		const end = new AbortController();
		const stop = AbortSignal.any([signal, end.signal]);
		if (until) void sleepUntil(until, stop).then(() => end.abort());
		await lendOnce(options, report, stop, times > 0);
	}
	return 0;
}

/** @returns when the schedule ends it again; undefined where there is none */
async function untilOpen(
	schedule: Schedule | undefined,
	report: Report,
	signal: AbortSignal,
): Promise<Date | undefined> {
	if (!schedule) return undefined;
	for (let told = false; ; told = true) {
		const { open, changes } = scheduleAt(schedule, new Date());
		if (open) return changes;
		if (!told) {
			const time = changes.toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" });
			report.say(`away until ${time}`, { phase: "away", until: changes.toISOString() });
		}
		await sleepUntil(changes, signal);
		if (signal.aborted) return undefined;
	}
}

async function sleepUntil(moment: Date, signal: AbortSignal): Promise<void> {
	for (let ms = 1; ms > 0 && !signal.aborted; ) {
		ms = moment.getTime() - Date.now();
		if (ms > 0) await sleep(Math.min(ms, longestSleepMs), undefined, { signal }).catch(() => {});
	}
}

/** @param patient - whether to wait for a relay that does not answer: whoever types its address wrong should hear that at once */
async function reach(
	options: LendCommandOptions,
	report: Report,
	signal: AbortSignal,
	patient: boolean,
): Promise<Tabmesh> {
	const { relay, room, capability, keyFile, keep, cacheDir } = options;
	for (let waitMs = firstRetryMs; ; waitMs = Math.min(2 * waitMs, longestRetryMs)) {
		try {
			return await connect({
				relay,
				signal,
				...(room === undefined ? {} : { room }),
				...(capability === undefined ? {} : { capability }),
				...(keyFile === undefined ? {} : { keyFile }),
				...(keep ? { cacheDir: join(cacheDir, "blocks") } : {}),
			});
		} catch (error) {
			if (!patient || !(error instanceof PeerUnreachableError)) throw error;
			const { shortMessage } = error;
			report.say(`${shortMessage} Trying again in ${waitMs / 1000} s`, {
				phase: "away",
				error: shortMessage,
			});
			await sleep(waitMs, undefined, { signal });
		}
	}
}

async function lendOnce(
	options: LendCommandOptions,
	report: Report,
	signal: AbortSignal,
	patient: boolean,
): Promise<void> {
	let mesh: Tabmesh;
	try {
		mesh = await reach(options, report, signal, patient);
	} catch (error) {
		if (signal.aborted) return;
		throw error;
	}
	try {
		const { peer, room } = mesh;
		report.say(`peer ${peer} in the room ${room} of ${options.relay}`, { phase: "joining", peer, room });
		const {
			model,
			draftModel,
			memory: memoryBytes,
			cores = Math.min(sensibleThreads, availableParallelism()),
		} = options;
		const { threads = cores } = options;
		const lender = mesh.lend({
			memoryBytes,
			...(model === undefined ? {} : { model }),
			...(draftModel === undefined ? {} : { draftModel }),
			threads,
		});
		await untilLeft(lender, options, report, signal);
	} finally {
		await mesh.close();
	}
}

/** Resolves when the lender has left, after `signal`. */
async function untilLeft(
	lender: Lender,
	{ maxLoad, finish }: LendCommandOptions,
	report: Report,
	signal: AbortSignal,
): Promise<void> {
	const stopWatching = maxLoad === undefined ? () => {} : pauseOnLoad(lender, maxLoad / 100, report);
	let last = stateKey(lender.view);
	try {
		await new Promise<void>((resolve, reject) => {
			const show = (): void => {
				const { view } = lender;
				// Sizes become known, and change from what is fetched to what is compiled: one line per span is enough.
				const known = view.phase !== "loading" || view.loading !== undefined;
				if (known && stateKey(view) !== last) {
					last = stateKey(view);
					report.say(stateLine(view), stateRecord(view));
				}
				if (view.phase === "failed") reject(view.error ?? new Error("The lender failed."));
				if (view.phase === "left") resolve();
			};
			lender.addEventListener("change", show);
			const leave = (): void => {
				stopWatching();
				politely(lender, finish, report).then(resolve, reject);
			};
			signal.addEventListener("abort", leave, { once: true });
			if (signal.aborted) leave();
		});
	} finally {
		stopWatching();
	}
}

/** Takes nothing new, lets running answers finish for a while, and says goodbye. */
async function politely(lender: Lender, finishSeconds: number, report: Report): Promise<void> {
	const { streams } = lender.view;
	if (streams > 0 && finishSeconds > 0) {
		report.say(`leaving when ${streams === 1 ? "the answer ends" : `${streams} answers end`}`, {
			phase: "leaving",
			streams,
		});
		await lender.pause();
		const late = AbortSignal.timeout(1000 * finishSeconds);
		while (lender.view.streams > 0 && lender.view.phase === "paused" && !late.aborted) {
			await new Promise<void>((resolve) => {
				lender.addEventListener("change", () => resolve(), { once: true });
				late.addEventListener("abort", () => resolve(), { once: true });
			});
		}
	}
	await lender.leave();
}

/** @returns stops watching */
function pauseOnLoad(lender: Lender, most: number, report: Report): () => void {
	const gate = new LoadGate(most);
	let before = processorTimes();
	let wasClosed = false;
	const timer = setInterval(() => {
		const now = processorTimes();
		const share = othersShare(before, now);
		before = now;
		const closed = gate.add(share);
		if (closed === wasClosed) return;
		wasClosed = closed;
		const percent = Math.round(100 * share);
		report.say(`${closed ? "pausing" : "going on"}: other programs use ${percent} % of the processors`, {
			phase: closed ? "pausing" : "resuming",
			othersPercent: percent,
		});
		void (closed ? lender.pause() : lender.resume());
	}, loadEveryMs);
	return () => clearInterval(timer);
}
