import { EngineInputError, type ModelConfig, type Span } from "@tabmesh/wire";

/** @throws EngineInputError when a model has no such span */
export function checkSpan(span: Span, config: ModelConfig): void {
	const ordered = span.from <= span.to && span.to <= config.layers && span.from >= 0;
	const placed = (!span.embed || span.from === 0) && (!span.head || span.to === config.layers);
	if (!ordered || !placed || (span.from === span.to && !span.embed && !span.head)) {
		throw new EngineInputError(
			`A model of ${config.layers} layers has no span ${span.from}–${span.to} like this.`,
		);
	}
}

/** @throws EngineInputError when a stream of a model cannot be so long */
export function checkMaxTokens(maxTokens: number, { contextLength }: ModelConfig): void {
	if (Number.isInteger(maxTokens) && maxTokens >= 1 && maxTokens <= contextLength) return;
	throw new EngineInputError(
		`A stream of this model has 1 to ${contextLength} positions, not ${maxTokens}.`,
		{
			details: { maxTokens, contextLength },
		},
	);
}

/** @throws EngineInputError when a stream cannot be cut, or go on in memory, at `position` */
export function checkPositions(position: number, most: number): void {
	if (Number.isInteger(position) && position >= 0 && position <= most) return;
	throw new EngineInputError(`There are ${most} positions: ${position} of them are too many.`, {
		details: { most, position },
	});
}
