import { type Language, language } from "./language/language.ts";

/** British days and months, as the English texts are. */
const locales: Record<Language, string> = { en: "en-GB", de: "de-DE" };
const formats = new Map<string, Intl.NumberFormat>();

/** Formats of a language are made once. */
function number(value: number, digits: 0 | 1 = 0, least: 0 | 1 = 0): string {
	const key = `${language}${digits}${least}`;
	let format = formats.get(key);
	if (format === undefined) {
		format = new Intl.NumberFormat(language, { minimumFractionDigits: least, maximumFractionDigits: digits });
		formats.set(key, format);
	}
	return format.format(value);
}

/** `92 MB`, `1.5 GB`, `2.7 TB`: decimal units, as downloads are counted. */
export function formatBytes(bytes: number): string {
	if (bytes >= 999.5e9) return `${number(bytes / 1e12, 1)} TB`;
	if (bytes >= 999.5e6) return `${number(bytes / 1e9, 1)} GB`;
	if (bytes >= 999.5e3) return `${number(bytes / 1e6)} MB`;
	return `${number(bytes / 1e3)} kB`;
}

/** A missing amount, never rounded down to something too small to help. */
export function formatBytesUp(bytes: number): string {
	return formatBytes(bytes >= 999.5e6 ? Math.ceil(bytes / 1e8) * 1e8 : Math.ceil(bytes / 1e6) * 1e6);
}

/** Milliseconds without their unit: `2.4`, `118`; a dash before the first measurement. */
export function formatMs(ms: number): string {
	if (ms <= 0) return "–";
	return ms < 99.95 ? number(ms, 1, 1) : number(ms);
}

/** A wait as people say it: `320 ms`, `1.8 s`. */
export function formatWait(ms: number): string {
	return ms < 999.5 ? `${Math.round(ms)} ms` : `${number(ms / 1000, 1)} s`;
}

/** How long something has lasted: `40 s`, `12 min`, `3 h 5 min`, `6 d 19 h`. */
export function formatDuration(ms: number): string {
	const seconds = Math.max(0, Math.floor(ms / 1000));
	if (seconds < 60) return `${seconds} s`;
	const minutes = Math.floor(seconds / 60);
	if (minutes < 60) return `${minutes} min`;
	const hours = Math.floor(minutes / 60);
	if (hours >= 48)
		return hours % 24 === 0 ? `${hours / 24} d` : `${Math.floor(hours / 24)} d ${hours % 24} h`;
	return minutes % 60 === 0 ? `${hours} h` : `${hours} h ${minutes % 60} min`;
}

/** A day: `21 Dec 2026`. */
export function formatDate(time: number): string {
	return new Date(time).toLocaleDateString(locales[language], {
		day: "numeric",
		month: "short",
		year: "numeric",
	});
}

/** A time of day: `22:05`. */
export function formatTime(time: number): string {
	return new Date(time).toLocaleTimeString(locales[language], { hour: "2-digit", minute: "2-digit" });
}

export function formatCount(count: number): string {
	return number(count);
}

/** Tokens per second: `41`, `3.7`. */
export function formatRate(perSecond: number): string {
	if (!Number.isFinite(perSecond) || perSecond <= 0) return "–";
	return perSecond < 9.95 ? number(perSecond, 1, 1) : number(perSecond);
}
