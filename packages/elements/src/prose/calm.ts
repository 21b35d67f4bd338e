/** More marks than any script stacks on one letter. What towers higher would cover its neighbours, and takes seconds to be laid out. */
const marksOnALetter = 6;

const towers = new RegExp(`(\\p{M}{${marksOnALetter}})\\p{M}+`, "gu");

/** Characters that turn what follows them around, so that code reads otherwise than it runs (CVE-2021-42574). */
const turns = /[\u202a-\u202e\u2066-\u2069]/g;

/** A model's text as it is shown: no letter carries more marks than scripts need. */
export function calm(text: string): string {
	return text.replace(towers, "$1");
}

/** Code as it is shown, and copied: what would turn its order around stands there by name. */
export function calmCode(text: string): string {
	return calm(text).replace(turns, (turn) => `⟨U+${turn.codePointAt(0)!.toString(16).toUpperCase()}⟩`);
}
