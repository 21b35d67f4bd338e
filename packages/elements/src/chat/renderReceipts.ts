import { html, nothing, type TemplateResult } from "lit";
import { describePeer, describeSpan } from "../describe.ts";
import { formatCount, formatMs } from "../format.ts";
import { messages } from "../language/language.ts";
import type { Turn } from "./answer.ts";

/** Who served an answer, how fast, and what both sides signed for it. */
export function renderReceipts(turn: Turn, self: string | undefined): TemplateResult {
	const text = messages.chat.made;
	const { summary, stages } = turn;
	const receipts = new Map(summary?.receipts.map((signed) => [signed.receipt.peer, signed.receipt]));
	const laps = summary?.laps;
	return html`
		<div class="made">
			${
				stages.length === 0
					? nothing
					: html`
						<div class="wide" tabindex="0" role="region" aria-label=${text.who}>
							<table>
								<thead>
									<tr>
										<th scope="col">${text.peer}</th>
										<th scope="col">${text.layers}</th>
										<th scope="col" class="end">${messages.lend.msPerToken}</th>
										<th scope="col" class="end">${text.receipt}</th>
									</tr>
								</thead>
								<tbody>
									${stages.map(({ peer, span, msPerToken }) => {
										const receipt = receipts.get(peer);
										return html`
											<tr>
												<td class="mono">${describePeer(peer, self)}</td>
												<td>${describeSpan(span)}</td>
												<td class="end">${formatMs(msPerToken)}</td>
												<td class="end">${receipt ? text.positions(formatCount(receipt.positions)) : "–"}</td>
											</tr>
										`;
									})}
								</tbody>
							</table>
						</div>
					`
			}
			<p class="muted small">
				${turn.model === "" ? nothing : text.by(turn.model)}
				${laps === undefined || laps.count === 0 ? nothing : text.laps(formatCount(laps.count), formatCount(laps.accepted))}
				${receipts.size === 0 ? text.noReceipts : text.receipts(receipts.size)}
			</p>
		</div>
	`;
}
