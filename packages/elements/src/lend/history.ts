import type { DeviceHistory, HistoryView, LendingDay } from "@tabmesh/client";
import { css, html, LitElement, nothing, type PropertyValues, svg } from "lit";
import type uPlot from "uplot";
import { define } from "../define.ts";
import { formatCount, formatDate, formatDuration } from "../format.ts";
import { messages } from "../language/language.ts";
import { controls, theme } from "../theme.ts";
import { HistoryWatch } from "./historyWatch.ts";

const dayMs = 86_400_000;
const ranges = [30, 365] as const;
const chartHeight = 190;

/** One day of the chart: also a day on which nothing was lent is one. */
interface ChartDay {
	/** Noon, so that no change to summer time moves it to another day; seconds since 1970, as uPlot counts. */
	readonly time: number;
	readonly tokens: number;
	readonly minutes: number;
}

/**
 * What this device lent, day by day: a chart that is read with pointer, finger or arrow keys, the same as a table, and today hour by hour.
 *
 * @csspart chart - the drawing
 */
export class TabmeshHistory extends LitElement {
	static override properties = { history: { attribute: false } };
	static override styles = [
		theme,
		controls,
		css`
			:host {
				container-type: inline-size;
				--_bar: color-mix(in oklab, var(--_accent) 55%, var(--_surface));
			}
			.all {
				display: grid;
				gap: 1rem;
			}
			.head {
				display: flex;
				flex-wrap: wrap;
				align-items: center;
				justify-content: space-between;
				gap: 0.25rem 1rem;
			}
			.ranges {
				display: flex;
				margin: 0;
				padding: 0;
				border: 0;
			}
			.ranges label {
				display: inline-flex;
				align-items: center;
				min-height: 44px;
				padding-inline: 0.9rem;
				border-radius: 999px;
				color: var(--_muted);
				font-size: 0.9375rem;
				cursor: pointer;
			}
			.ranges label:has(:checked) {
				background: var(--_tint);
				color: var(--_ink);
			}
			.ranges label:has(:focus-visible) {
				outline: 2px solid var(--_accent);
				outline-offset: 2px;
			}
			.ranges input {
				position: absolute;
				opacity: 0;
				pointer-events: none;
			}
			.chart {
				min-height: 190px;
				border-radius: 6px;
			}
			.reading {
				flex: 1 1 16rem;
				min-height: 1.45em;
				color: var(--_ink);
				text-align: end;
			}
			.key {
				display: flex;
				flex-wrap: wrap;
				gap: 0.3rem 1.2rem;
				color: var(--_muted);
				font-size: 0.875rem;
			}
			.key span {
				display: inline-flex;
				align-items: center;
				gap: 0.45rem;
			}
			.key i {
				width: 0.8rem;
				height: 0.8rem;
				border-radius: 2px;
				background: var(--_bar);
			}
			.key .line {
				height: 2px;
				background: var(--_ink);
			}
			.hours {
				display: grid;
				gap: 0.4rem;
			}
			.hours svg {
				display: block;
				width: 100%;
				height: 3rem;
			}
			.hours .slot {
				fill: var(--_line);
			}
			.hours .served {
				fill: var(--_accent);
			}
			.ends {
				display: flex;
				justify-content: space-between;
			}
			details {
				border-top: 1px solid var(--_line);
				padding-top: 0.2rem;
			}
			summary {
				width: fit-content;
				padding: 0.6rem 0;
				color: var(--_muted);
				cursor: pointer;
			}
			.scroll {
				max-height: 20rem;
				overflow: auto;
			}
			table {
				width: 100%;
				border-collapse: collapse;
			}
			th,
			td {
				padding: 0.4rem 0.2rem;
				border-bottom: 1px solid var(--_line);
				text-align: end;
				font-weight: 400;
			}
			th:first-child {
				text-align: start;
			}
			thead th {
				color: var(--_muted);
				font-size: 0.875rem;
			}
			/* What uPlot's own style sheet says of the parts that are used here. */
			.uplot {
				width: min-content;
			}
			.u-wrap {
				position: relative;
				user-select: none;
			}
			.u-over,
			.u-under,
			.u-axis {
				position: absolute;
			}
			.u-under {
				overflow: hidden;
			}
			.uplot canvas {
				display: block;
				position: relative;
				width: 100%;
				height: 100%;
			}
			.u-select,
			.u-off {
				display: none;
			}
			.u-cursor-x {
				position: absolute;
				inset: 0 auto 0 0;
				border-right: 1px dashed var(--_control);
				pointer-events: none;
			}
			.u-cursor-y,
			.u-cursor-pt {
				display: none;
			}
		`,
	];
	declare history: DeviceHistory | undefined;

	readonly #history = new HistoryWatch(this);
	#range: (typeof ranges)[number] = 30;
	#days: readonly ChartDay[] = [];
	#chart: uPlot | undefined;
	#making: Promise<unknown> | undefined;
	/** What was drawn: drawing the same again would take the pointer's place away. */
	#drawn = "";
	/** Which day is read out; undefined for none. */
	#at: number | undefined;
	#sizes: ResizeObserver | undefined;
	readonly #scheme = matchMedia("(prefers-color-scheme: dark)");

	constructor() {
		super();
		this.history = undefined;
	}

	override connectedCallback(): void {
		super.connectedCallback();
		this.#scheme.addEventListener("change", this.#redraw);
	}

	override disconnectedCallback(): void {
		super.disconnectedCallback();
		this.#scheme.removeEventListener("change", this.#redraw);
		this.#sizes?.disconnect();
		this.#sizes = undefined;
		this.#chart?.destroy();
		this.#chart = undefined;
		this.#drawn = "";
	}

	protected override willUpdate(_changed: PropertyValues<this>): void {
		this.#history.use(this.history);
		const { view } = this.#history;
		if (view) this.#days = chartDays(view.days, view.today.day, this.#range);
	}

	/** Canvases know no custom properties: a change of colours draws all of it anew. */
	readonly #redraw = (): void => {
		this.#chart?.destroy();
		this.#chart = undefined;
		this.#drawn = "";
		this.requestUpdate();
	};

	protected override updated(): void {
		const place = this.renderRoot.querySelector<HTMLElement>(".chart");
		if (!place) return;
		if (!this.#sizes) {
			this.#sizes = new ResizeObserver(() => {
				const { clientWidth } = place;
				if (clientWidth > 0) this.#chart?.setSize({ width: clientWidth, height: chartHeight });
			});
			this.#sizes.observe(place);
		}
		const wanted = JSON.stringify(this.#days);
		if (wanted === this.#drawn) return;
		if (this.#chart) {
			this.#drawn = wanted;
			this.#chart.setData(columns(this.#days));
			return;
		}
		this.#making ??= this.#make(place).finally(() => {
			this.#making = undefined;
		});
	}

	async #make(place: HTMLElement): Promise<void> {
		const { default: Plot } = await import("uplot");
		if (!this.isConnected || this.#chart) return;
		const style = getComputedStyle(place);
		const colour = (name: string): string => {
			place.style.setProperty("color", `var(${name})`);
			const { color } = style;
			place.style.removeProperty("color");
			return color;
		};
		const [ink, muted, line, accent] = ["--_ink", "--_muted", "--_line", "--_bar"].map(colour) as [
			string,
			string,
			string,
			string,
		];
		const font = `12px ${style.fontFamily}`;
		const axis = { stroke: muted, font, grid: { stroke: line, width: 1 }, ticks: { show: false } };
		this.#drawn = JSON.stringify(this.#days);
		this.#chart = new Plot(
			{
				width: place.clientWidth || 300,
				height: chartHeight,
				padding: [12, 4, 0, 0],
				legend: { show: false },
				cursor: { y: false, points: { show: false }, drag: { x: false, y: false } },
				scales: {
					x: { time: true },
					tokens: { range: (_plot, _least, most) => [0, Math.max(10, most)] },
					minutes: { range: (_plot, _least, most) => [0, Math.max(10, most)] },
				},
				axes: [
					{ ...axis, size: 26, grid: { show: false }, values: (_plot, times) => times.map(shortDay) },
					{ ...axis, scale: "tokens", size: 52, values: (_plot, values) => values.map(shortCount) },
					{
						...axis,
						scale: "minutes",
						side: 1,
						size: 44,
						grid: { show: false },
						values: (_plot, values) => values.map((value) => String(value)),
					},
				],
				series: [
					{},
					{
						scale: "tokens",
						fill: accent,
						stroke: accent,
						width: 0,
						points: { show: false },
						paths: Plot.paths.bars!({ size: [0.7, 24, 1] }),
					},
					{ scale: "minutes", stroke: ink, width: 1.5, points: { show: false } },
				],
				hooks: {
					setCursor: [
						(plot) => {
							const at = plot.cursor.idx ?? undefined;
							if (at === this.#at) return;
							this.#at = at;
							this.requestUpdate();
						},
					],
				},
			},
			columns(this.#days),
			place,
		);
	}

	#onKey(event: KeyboardEvent): void {
		const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
		const last = this.#days.length - 1;
		const target = event.key === "Home" ? 0 : event.key === "End" ? last : undefined;
		if (step === undefined && target === undefined) return;
		event.preventDefault();
		const at = target ?? Math.min(last, Math.max(0, (this.#at ?? last + 1) + step!));
		this.#at = at;
		const chart = this.#chart;
		chart?.setCursor({ left: chart.valToPos(this.#days[at]!.time, "x"), top: 0 });
		this.requestUpdate();
	}

	#reading(): string {
		const day = this.#at === undefined ? undefined : this.#days[this.#at];
		if (!day) return "";
		return messages.history.reading(
			formatDate(day.time * 1000),
			formatCount(day.tokens),
			formatDuration(day.minutes * 60_000),
		);
	}

	#renderRanges() {
		const text = messages.history;
		return html`
			<fieldset class="ranges">
				<legend class="unseen">${text.range}</legend>
				${ranges.map(
					(range) => html`
						<label>
							<input
								type="radio"
								name="range"
								.checked=${this.#range === range}
								@change=${() => {
									this.#range = range;
									this.#at = undefined;
									this.requestUpdate();
								}}
							/>
							${text.ranges[range]}
						</label>
					`,
				)}
			</fieldset>
		`;
	}

	#renderHours({ hours, minutes }: LendingDay) {
		const text = messages.history;
		const label = text.hoursLabel(formatDuration(minutes * 60_000));
		return html`
			<div class="hours">
				<h3 class="muted small">${text.today}</h3>
				<svg viewBox="0 0 240 30" preserveAspectRatio="none" role="img" aria-label=${label}>
					${hours.map((served, hour) => {
						const height = (served / 60) * 30;
						return svg`
							<rect class="slot" x=${hour * 10 + 1} y="28" width="8" height="2"></rect>
							<rect class="served" x=${hour * 10 + 1} y=${30 - height} width="8" height=${height}>
								<title>${text.hour(`${hour}:00`, served)}</title>
							</rect>
						`;
					})}
				</svg>
				<div class="ends muted small" aria-hidden="true">
					<span>0:00</span><span>6:00</span><span>12:00</span><span>18:00</span><span>24:00</span>
				</div>
			</div>
		`;
	}

	#renderTable({ days }: HistoryView) {
		const text = messages.history;
		return html`
			<details>
				<summary>${text.table}</summary>
				<div class="scroll" tabindex="0" role="region" aria-label=${text.title}>
					<table>
						<thead>
							<tr><th scope="col">${text.day}</th><th scope="col">${text.tokens}</th><th scope="col">${text.time}</th></tr>
						</thead>
						<tbody>
							${days.toReversed().map(
								({ day, tokens, minutes }) => html`
									<tr>
										<th scope="row">${formatDate(noon(day))}</th>
										<td>${formatCount(tokens)}</td>
										<td>${formatDuration(minutes * 60_000)}</td>
									</tr>
								`,
							)}
						</tbody>
					</table>
				</div>
			</details>
		`;
	}

	protected override render() {
		const { view } = this.#history;
		if (view === undefined) return nothing;
		const text = messages.history;
		if (view.ever.since === undefined)
			return html`<div class="all"><h2>${text.title}</h2><p class="muted">${text.nothing}</p></div>`;
		const sum = (of: (day: ChartDay) => number) => this.#days.reduce((total, day) => total + of(day), 0);
		const label = text.label(
			this.#days.length,
			formatCount(sum(({ tokens }) => tokens)),
			formatDuration(sum(({ minutes }) => minutes) * 60_000),
		);
		return html`
			<div class="all">
				<div class="head"><h2>${text.title}</h2>${this.#renderRanges()}</div>
				<div class="key">
					<span><i></i>${text.tokens}</span>
					<span><i class="line"></i>${text.minutes}</span>
					<p class="reading" aria-live="polite">${this.#reading()}</p>
				</div>
				<div
					class="chart"
					part="chart"
					role="img"
					tabindex="0"
					aria-label=${label}
					@keydown=${this.#onKey}
				></div>
				${this.#renderHours(view.today)}
				${this.#renderTable(view)}
				<p class="muted small">${text.kept}</p>
			</div>
		`;
	}
}

function noon(day: string): number {
	return new Date(`${day}T12:00`).getTime();
}

function chartDays(days: readonly LendingDay[], today: string, range: number): ChartDay[] {
	const known = new Map(days.map((each) => [each.day, each]));
	const last = noon(today);
	return Array.from({ length: range }, (_, i) => {
		const time = new Date(last - (range - 1 - i) * dayMs);
		time.setHours(12, 0, 0, 0);
		const two = (value: number): string => String(value).padStart(2, "0");
		const day = known.get(`${time.getFullYear()}-${two(time.getMonth() + 1)}-${two(time.getDate())}`);
		return { time: time.getTime() / 1000, tokens: day?.tokens ?? 0, minutes: day?.minutes ?? 0 };
	});
}

function columns(days: readonly ChartDay[]): uPlot.AlignedData {
	return [days.map(({ time }) => time), days.map(({ tokens }) => tokens), days.map(({ minutes }) => minutes)];
}

function shortDay(time: number): string {
	return formatDate(time * 1000).replace(/\s*\d{4}$/, "");
}

/** As short as an axis has room for: `950`, `12k`, `3M`. */
function shortCount(count: number): string {
	if (count >= 1e6) return `${formatCount(count / 1e6)}M`;
	return count >= 1000 ? `${formatCount(count / 1000)}k` : formatCount(count);
}

define("tabmesh-history", TabmeshHistory);
