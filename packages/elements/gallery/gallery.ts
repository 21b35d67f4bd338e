import "@tabmesh/elements";
import type { Tabmesh } from "@tabmesh/client";
import type {
	Connect,
	TabmeshChat,
	TabmeshConsole,
	TabmeshLend,
	TabmeshStorage,
	TabmeshWallet,
} from "@tabmesh/elements";
import { openConversations } from "@tabmesh/elements/conversations";
import { ScriptedTabmesh } from "./scripted.ts";
import { scriptedConversations } from "./scriptedConversations.ts";
import { type GalleryState, states, unreachable } from "./states.ts";

/** What tests and the picture script look at: `window.gallery`. */
export interface Gallery {
	readonly tabmesh: ScriptedTabmesh;
	/** How often the element asked for a network. */
	connects: number;
	/** Whether every scripted act is done and drawn. */
	ready: boolean;
}

declare global {
	interface Window {
		gallery: Gallery;
	}
}

const frame = () => new Promise((resolve) => requestAnimationFrame(resolve));

type Panel = TabmeshChat | TabmeshConsole | TabmeshLend | TabmeshStorage | TabmeshWallet;

async function settle(element: Panel): Promise<void> {
	await window.gallery.tabmesh.rested;
	// An answer's end wakes the element, the element schedules a frame, its children draw after it.
	for (let turn = 0; turn < 4; turn++) {
		await frame();
		await element.updateComplete;
	}
}

function button(element: HTMLElement, text: string): HTMLElement | undefined {
	const roots = [
		element.shadowRoot,
		...[...(element.shadowRoot?.querySelectorAll("*") ?? [])].map((each) => each.shadowRoot),
	];
	return roots
		.flatMap((root) => [...(root?.querySelectorAll<HTMLElement>("button, summary") ?? [])])
		.find(
			(one) =>
				one.textContent?.trim() === text ||
				one.title === text ||
				(one.localName === "summary" && one.textContent?.includes(text)),
		);
}

async function show(state: GalleryState): Promise<void> {
	const stage = document.querySelector<HTMLElement>("#stage")!;
	const tabmesh = new ScriptedTabmesh(state.script);
	const gallery: Gallery = { tabmesh, connects: 0, ready: false };
	window.gallery = gallery;
	const connect: Connect = async (signal): Promise<Tabmesh> => {
		gallery.connects++;
		if (state.connect === "fail") throw unreachable;
		if (state.connect === "hang")
			await new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
		return tabmesh;
	};
	for (const name of state.lacks ?? [])
		Object.defineProperty(window, name, { configurable: true, value: undefined });
	const element = document.createElement(state.element) as Panel;
	if (state.element === "tabmesh-lend") element.setAttribute("ask-href", "?state=chat-suggestions");
	if ("openStorage" in element) element.storage = tabmesh.storage;
	else element.connect = connect;
	if ("storageHref" in element) element.storageHref = "/storage";
	if ("left" in element) element.left = state.left;
	if ("readRelay" in element) {
		const { relay } = state;
		element.readRelay = async () => {
			if (relay instanceof Error) throw relay;
			return relay ?? new Promise(() => {});
		};
		element.peer = state.script.members[state.chosen ?? -1]?.peer ?? "";
	}
	if (state.keeps && "left" in element) {
		const fails = state.keeps instanceof Error ? state.keeps : undefined;
		element.store =
			state.keeps === "on the device"
				? openConversations()
				: scriptedConversations(state.keeps instanceof Error ? [] : state.keeps, fails);
		element.conversation = state.shows ?? location.hash.slice(1);
		element.addEventListener("tabmesh-conversation", ({ detail }) => {
			location.hash = detail.id;
		});
	}
	if ("tabmesh" in element && state.script.wallet) element.tabmesh = tabmesh;
	document.body.classList.toggle("wide", ["tabmesh-chat", "tabmesh-console"].includes(state.element));
	stage.replaceChildren(element);
	if (state.element === "tabmesh-wallet") {
		// It is a part of a page, below that page's own heading.
		const heading = document.createElement("h1");
		heading.textContent = "Lend";
		stage.prepend(heading);
	}
	await settle(element);
	if (state.first !== undefined) {
		button(element, state.first)?.click();
		await settle(element);
	}
	if (state.act === true) element.shadowRoot?.querySelector<HTMLButtonElement>("[part=join]")?.click();
	else
		for (const prompt of state.act ?? []) {
			const input = element.shadowRoot!.querySelector("textarea")!;
			input.value = prompt;
			input.dispatchEvent(new InputEvent("input"));
			await settle(element);
			element.shadowRoot!.querySelector("form")!.requestSubmit();
			await settle(element);
		}
	await settle(element);
	if (state.script.notice) {
		tabmesh.note(state.script.notice);
		await settle(element);
	}
	for (const text of [state.press ?? []].flat()) {
		button(element, text)?.click();
		await settle(element);
	}
	for (const [name, value] of Object.entries(state.fill ?? {})) {
		element.shadowRoot!.querySelector<HTMLInputElement>(`form [name="${name}"]`)!.value = value;
	}
	if (state.fill) {
		element.shadowRoot!.querySelector("form")!.requestSubmit();
		await settle(element);
	}
	gallery.ready = true;
}

const name = new URL(location.href).searchParams.get("state");
const state = name === null ? undefined : states[name];
if (state) await show(state);
else {
	const list = document.createElement("ul");
	for (const each of Object.keys(states)) {
		const link = document.createElement("a");
		link.href = `?state=${each}`;
		link.textContent = each;
		const item = document.createElement("li");
		item.append(link);
		list.append(item);
	}
	document.querySelector("#stage")!.replaceChildren(list);
}
