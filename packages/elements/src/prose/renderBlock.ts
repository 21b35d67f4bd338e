import { html, nothing, type TemplateResult } from "lit";
import type { Token } from "markdown-it";
import { messages } from "../language/language.ts";
import { calm, calmCode } from "./calm.ts";
import { safeLink } from "./safeLink.ts";

type Shown = TemplateResult | string | typeof nothing;

/** A list's number has nine digits at most in CommonMark. */
const largestStart = 999_999_999;

/** The headings above the place that is reached, by the level that the model gave them. */
export interface Outline {
	levels: number[];
}

/** The page's own headings have the first two levels, and none may be skipped: outlines are read aloud. */
function levelOf(own: number, outline: Outline): number {
	while (outline.levels.length > 0 && outline.levels.at(-1)! >= own) outline.levels.pop();
	outline.levels.push(own);
	return Math.min(6, 2 + outline.levels.length);
}

/** The opening token of an element that is being filled, and what is in it so far. */
interface Open {
	readonly token: Token | undefined;
	readonly inside: Shown[];
}

/** A box with code, which `more` of it may be added to as text of its `code` element. */
export function codeBlock(language: string, code: string): TemplateResult {
	return html`<figure class="code" dir="ltr"><figcaption><span>${calmCode(language)}</span><button type="button" class="copy">${messages.chat.copyCode}</button></figcaption><pre tabindex="0"><code>${calmCode(code)}</code></pre></figure>`;
}

/** Each block is read from the side of its first letter. What is inside follows it: `auto` does not look into what has a direction itself. */
function ownDirection({ level }: Token): "auto" | typeof nothing {
	return level === 0 ? "auto" : nothing;
}

/** The language that a fence names. */
export function languageOf({ info }: Token): string {
	return info.trim().split(/\s/, 1)[0] ?? "";
}

function heading(level: number, inside: Shown[]): TemplateResult {
	if (level === 3) return html`<h3 dir="auto">${inside}</h3>`;
	if (level === 4) return html`<h4 dir="auto">${inside}</h4>`;
	if (level === 5) return html`<h5 dir="auto">${inside}</h5>`;
	return html`<h6 dir="auto">${inside}</h6>`;
}

function link(href: string, inside: Shown[], saysItself: boolean): Shown {
	const safe = safeLink(href);
	if (safe === undefined) return html`${inside}`;
	// Behind the link, not in it: a text that is a link must not be able to name another target last.
	const target =
		saysItself || (inside.length === 1 && inside[0] === safe.target)
			? nothing
			: html` <span class="target">(${safe.target})</span>`;
	return html`<a href=${safe.href} rel="noopener noreferrer nofollow" target="_blank">${inside}</a>${target}`;
}

/** Nothing is fetched: a picture's server would learn who reads this, and when. */
function picture(token: Token): Shown {
	const safe = safeLink(String(token.attrGet("src") ?? ""));
	const text = messages.chat.picture(calm(token.content));
	return safe === undefined ? text : link(safe.href, [text], false);
}

function cell(token: Token, inside: Shown[]): TemplateResult {
	const align = /center|right/.exec(String(token.attrGet("style")))?.[0] ?? nothing;
	return token.tag === "th"
		? html`<th scope="col" class=${align}>${inside}</th>`
		: html`<td class=${align}>${inside}</td>`;
}

/** The element of a token that has something inside; of one that is not on the list only that. */
function element(token: Token, inside: Shown[], outline: Outline): Shown {
	switch (token.type) {
		case "paragraph_open":
			return token.hidden ? html`${inside}` : html`<p dir=${ownDirection(token)}>${inside}</p>`;
		case "heading_open":
			return heading(levelOf(Number(token.tag.slice(1)), outline), inside);
		case "blockquote_open":
			return html`<blockquote dir=${ownDirection(token)}>${inside}</blockquote>`;
		case "bullet_list_open":
			return html`<ul dir=${ownDirection(token)}>${inside}</ul>`;
		case "ordered_list_open": {
			const start = Number(token.attrGet("start") ?? 1);
			return html`<ol dir=${ownDirection(token)} start=${start >= 0 && start <= largestStart ? start : 1}>${inside}</ol>`;
		}
		case "list_item_open":
			return html`<li>${inside}</li>`;
		case "table_open":
			return html`<div class="wide" tabindex="0" role="region" aria-label=${messages.chat.table}><table dir="auto">${inside}</table></div>`;
		case "thead_open":
			return html`<thead>${inside}</thead>`;
		case "tbody_open":
			return html`<tbody>${inside}</tbody>`;
		case "tr_open":
			return html`<tr>${inside}</tr>`;
		case "th_open":
		case "td_open":
			return cell(token, inside);
		case "strong_open":
			return html`<strong>${inside}</strong>`;
		case "em_open":
			return html`<em>${inside}</em>`;
		case "s_open":
			return html`<s>${inside}</s>`;
		case "link_open":
			return link(
				String(token.attrGet("href") ?? ""),
				inside,
				token.markup === "linkify" || token.markup === "autolink",
			);
		default:
			return html`${inside}`;
	}
}

function leaf(token: Token, outline: Outline): Shown {
	switch (token.type) {
		case "inline":
			return html`${renderBlock(token.children ?? [], outline)}`;
		case "softbreak":
		case "hardbreak":
			// Models end a line where they want one to end: a verse must not become a sentence.
			return html`<br>`;
		case "code_inline":
			return html`<code dir="ltr">${calmCode(token.content)}</code>`;
		case "fence":
		case "code_block":
			return codeBlock(languageOf(token), token.content);
		case "hr":
			return html`<hr>`;
		case "image":
			return picture(token);
		default:
			return calm(token.content);
	}
}

/**
 * What markdown's tokens mean, as elements of a fixed list. Whatever a model wrote arrives in them as text or as an
 * attribute's value: there is no way from its text to an element, a handler, a style or an address that is not on the list.
 */
export function renderBlock(tokens: readonly Token[], outline: Outline): Shown[] {
	const open: Open[] = [{ token: undefined, inside: [] }];
	for (const token of tokens) {
		if (token.nesting === 1) {
			open.push({ token, inside: [] });
			continue;
		}
		if (token.nesting === -1) {
			const done = open.pop()!;
			open.at(-1)!.inside.push(element(done.token!, done.inside, outline));
			continue;
		}
		open.at(-1)!.inside.push(leaf(token, outline));
	}
	return open[0]!.inside;
}
