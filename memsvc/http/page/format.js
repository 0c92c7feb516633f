/** Times in the reader's zone, numbers as the reader writes them, and the API's names as words. */

import { h } from "./dom.js";

const whole = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "long" });
const short = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
const day = new Intl.DateTimeFormat(undefined, { dateStyle: "medium" });
const ago = new Intl.RelativeTimeFormat(undefined, { numeric: "auto", style: "short" });
const numbers = new Intl.NumberFormat();
const SPANS = [[60, "second", 1], [3600, "minute", 60], [86400, "hour", 3600], [7 * 86400, "day", 86400]];

export const LAYERS = ["LAYER_PROFILE", "LAYER_POLICY", "LAYER_KNOWLEDGE", "LAYER_FEEDBACK"];
export const MEANINGS = {
	LAYER_PROFILE: "Who they are",
	LAYER_POLICY: "How they want to be served",
	LAYER_KNOWLEDGE: "Facts and context",
	LAYER_FEEDBACK: "What worked, or did not",
};
const PREFIXES = /^(LAYER|TRUST|POLARITY|ROLE|(LEARNING|CHANGE|EXTRACTION|CONTEXT_SECTION)_(MODE|STATE|KIND|CAUSE)|SEARCH_METHOD|CUT_REASON)_/;

export const TRUSTS = ["STATED", "INFERRED", "FROM_TOOL", "IMPORTED"].map((name) => [`TRUST_${name}`, word(name)]);

/** Returns an enum's name as a word: LEARNING_STATE_PENDING is "Pending". */
export function word(name) {
	const bare = (name ?? "").replace(PREFIXES, "").replaceAll("_", " ").toLowerCase();
	return bare && bare !== "unspecified" ? bare[0].toUpperCase() + bare.slice(1) : "";
}

export function layerName(layer) {
	return h("span", { class: `layer ${layer}` }, word(layer));
}

export function count(number, one = "", many = `${one}s`) {
	const shown = numbers.format(Number(number ?? 0));
	return one ? `${shown} ${Number(number) === 1 ? one : many}` : shown;
}

export function countMemories(number) {
	return count(number, "memory", "memories");
}

/** Returns what a model read and wrote, in tokens; undefined: none was asked. */
export function tokensOf(usage) {
	return usage?.calls ? `${count(usage.inputTokens)} + ${count(usage.outputTokens)} tokens` : undefined;
}

/** Returns a moment: how long ago it was, or its date; all of it when pointed at. */
export function time(stamp, isExact = false) {
	const moment = new Date(stamp ?? NaN);
	if (Number.isNaN(moment.getTime())) return h("span", "–");
	return h("time", { datetime: stamp, title: whole.format(moment) }, isExact ? short.format(moment) : near(moment));
}

function near(moment) {
	const seconds = (moment.getTime() - Date.now()) / 1000;
	for (const [limit, unit, size] of SPANS) {
		if (Math.abs(seconds) < limit) return ago.format(Math.trunc(seconds / size), unit);
	}
	return day.format(moment);
}

/** Returns JSON as people read it; what is no JSON as it is. */
export function pretty(json) {
	try {
		return JSON.stringify(JSON.parse(json), null, 2);
	} catch {
		return json;
	}
}

export function value(json) {
	try {
		const read = JSON.parse(json);
		if (Array.isArray(read) && read.every((each) => typeof each !== "object")) return read.join(", ");
		return typeof read === "string" ? read : JSON.stringify(read);
	} catch {
		return json;
	}
}
