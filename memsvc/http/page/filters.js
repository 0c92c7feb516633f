/** Which memories are shown: chosen in a bar, kept in the address, sent as the API's MemoryFilter. */

import { field, tick } from "./dialogs.js";
import { h, put, start } from "./dom.js";
import { LAYERS, word } from "./format.js";
import { route, setParams } from "./router.js";

const TRUSTS = ["TRUST_STATED", "TRUST_INFERRED", "TRUST_FROM_TOOL", "TRUST_IMPORTED"];
const LISTS = { layer: "layers", topic: "topicsAny", trust: "trusts", session: "sessionIds", agent: "agentIds", polarity: "polarities", engine: "engines" };
const TEXTS = { contains: "textContains", key: "keyPath" };
const TIMES = { since: "startTime", until: "endTime" };

/** Returns the filter that the address asks for. */
export function filterOf(params) {
	const filter = {};
	for (const [name, of] of Object.entries(LISTS)) {
		const values = params.getAll(name).filter(Boolean);
		if (values.length) filter[of] = values;
	}
	for (const [name, of] of Object.entries(TEXTS)) {
		if (params.get(name)) filter[of] = params.get(name);
	}
	for (const [name, of] of Object.entries(TIMES)) {
		const moment = new Date(params.get(name) ?? NaN);
		if (!Number.isNaN(moment.getTime())) filter.updateTime = { ...filter.updateTime, [of]: moment.toISOString() };
	}
	if (params.get("past")) filter.includeSuperseded = true;
	return filter;
}

/** Returns the filter in words. */
export function inWords(filter) {
	const words = [];
	for (const [name, of] of Object.entries(LISTS)) {
		if (filter[of]) words.push(`${name}: ${filter[of].map((each) => (/^(LAYER|TRUST|POLARITY)_/.test(each) ? word(each) : each)).join(" or ")}`);
	}
	for (const [name, of] of Object.entries(TEXTS)) if (filter[of]) words.push(`${name}: ${filter[of]}`);
	if (filter.updateTime) {
		const day = (stamp) => new Date(stamp).toLocaleDateString();
		const { startTime, endTime } = filter.updateTime;
		words.push(`changed ${startTime ? `from ${day(startTime)} ` : ""}${endTime ? `before ${day(endTime)}` : ""}`.trim());
	}
	return words;
}

/** Returns whether anything is filtered, besides what of the past is shown. */
export function isNarrow(filter) {
	return Object.keys(filter).some((name) => name !== "includeSuperseded");
}

/** Returns the bar: layers at once, the rest behind a button. `topics()` fetches what topics there are. */
export function filterBar(params, topics) {
	const chosen = (name) => params.getAll(name);
	const flip = (name, value) => {
		const now = route().params.getAll(name);
		setParams({ [name]: now.includes(value) ? now.filter((each) => each !== value) : [...now, value] });
	};
	const layers = LAYERS.map((layer) =>
		h("button", { class: `pick ${layer}`, "aria-pressed": String(chosen("layer").includes(layer)), onclick: () => flip("layer", layer) }, word(layer)),
	);
	const more = h("details.more-filters", { open: hasMore(params) }, h("summary", "Filters"), form(params, topics));
	return h("div.filters", h("div.picks", { role: "group", "aria-label": "Layers" }, layers), more);
}

function hasMore(params) {
	return ["topic", "trust", "session", "agent", "contains", "key", "since", "until", "past"].some((name) => params.get(name));
}

function form(params, topics) {
	const text = (name, label) =>
		field(label, h("input", { type: "text", value: params.get(name) ?? "", dir: "auto", onchange: (event) => setParams({ [name]: event.target.value }) }));
	const date = (name, label) =>
		field(label, h("input", { type: "date", value: params.get(name) ?? "", onchange: (event) => setParams({ [name]: event.target.value }) }));
	const topic = h("select", { dir: "auto", onchange: (event) => setParams({ topic: event.target.value }) }, h("option", { value: params.get("topic") ?? "" }, params.get("topic") ?? "any"));
	fillTopics(topic, params.get("topic") ?? "", topics);
	const trust = h("select", { value: params.get("trust") ?? "", onchange: (event) => setParams({ trust: event.target.value }) },
		h("option", { value: "" }, "any"), TRUSTS.map((each) => h("option", { value: each }, word(each))));
	trust.value = params.get("trust") ?? "";
	return h("div.filter-grid",
		field("Topic", topic), field("Trust", trust), text("contains", "Text contains"), text("key", "Key, or below it"),
		text("session", "Session"), text("agent", "Agent"), date("since", "Changed since"), date("until", "Changed before"),
		tick("Facts of the past too", params.get("past") === "1", { onchange: (event) => setParams({ past: event.target.checked ? "1" : null }) }),
		h("button", { onclick: () => setParams(Object.fromEntries(["layer", "topic", "trust", "session", "agent", "contains", "key", "since", "until", "past"].map((name) => [name, null]))) }, "Clear filters"),
	);
}

async function fillTopics(select, chosen, topics) {
	let found = [];
	try {
		found = await topics();
	} catch {
		return;
	}
	const names = found.map(({ topic }) => topic);
	const options = found.map(({ topic, count }) => h("option", { value: topic }, `${start(topic, 60)} (${count})`));
	if (chosen && !names.includes(chosen)) options.unshift(h("option", { value: chosen }, chosen));
	put(select, h("option", { value: "" }, "any"), options);
	select.value = chosen;
}

