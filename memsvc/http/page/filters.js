/** Which memories are shown: chosen in a bar, kept in the address, sent as the API's MemoryFilter. */

import { button, choice, field, input, tick } from "./controls.js";
import { h, put, start } from "./dom.js";
import { LAYERS, TRUSTS, word } from "./format.js";
import { route, setParams } from "./router.js";

const LISTS = { layer: "layers", topic: "topicsAny", trust: "trusts", session: "sessionIds", agent: "agentIds", polarity: "polarities", engine: "engines" };
const TEXTS = { contains: "textContains", key: "keyPath" };
const TIMES = { since: "startTime", until: "endTime" };
const NAMES = [LISTS, TEXTS, TIMES].flatMap(Object.keys).concat("past");
const ANY = ["", "any"];

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

export function filterWords(filter) {
	const named = Object.entries({ ...LISTS, ...TEXTS }).filter(([, of]) => filter[of]);
	const words = named.map(([name, of]) => `${name}: ${[filter[of]].flat().map((each) => (/^(LAYER|TRUST|POLARITY)_/.test(each) ? word(each) : each)).join(" or ")}`);
	const { startTime, endTime } = filter.updateTime ?? {};
	const day = (stamp) => new Date(stamp).toLocaleDateString();
	if (startTime) words.push(`changed since ${day(startTime)}`);
	if (endTime) words.push(`changed before ${day(endTime)}`);
	return words;
}

/** Returns whether anything is filtered, besides what of the past is shown. */
export function isNarrow(filter) {
	return Object.keys(filter).some((name) => name !== "includeSuperseded");
}

/** Returns the bar: layers at once, the rest behind a button. `topics()` fetches what topics there are. */
export function filterBar(params, topics) {
	const flip = (layer) => {
		const now = route().params.getAll("layer");
		setParams({ layer: now.includes(layer) ? now.filter((each) => each !== layer) : [...now, layer] });
	};
	const isChosen = (layer) => String(params.getAll("layer").includes(layer));
	return h("div.filters",
		h("div.picks", { role: "group", "aria-label": "Layers" },
			LAYERS.map((layer) => button(word(layer), () => flip(layer), `pick ${layer}`, { "aria-pressed": isChosen(layer) }))),
		h("details.more-filters", { open: NAMES.some((name) => name !== "layer" && params.get(name)) }, h("summary", "Filters"), fields(params, topics)),
	);
}

function fields(params, topics) {
	const own = (name) => ({ value: params.get(name) ?? "", onchange: (event) => setParams({ [name]: event.target.value }) });
	const text = (name, label) => field(label, input(own(name)));
	const date = (name, label) => field(label, h("input", { type: "date", ...own(name) }));
	const topic = choice([ANY], "", { dir: "auto", ...own("topic") });
	fillTopics(topic, params.get("topic") ?? "", topics);
	return h("div.filter-grid",
		field("Topic", topic), field("Trust", choice([ANY, ...TRUSTS], own("trust").value, own("trust"))),
		text("contains", "Text contains"), text("key", "Key, or below it"),
		text("session", "Session"), text("agent", "Agent"), date("since", "Changed since"), date("until", "Changed before"),
		tick("Facts of the past too", params.get("past") === "1", { onchange: (event) => setParams({ past: event.target.checked ? "1" : null }) }),
		button("Clear filters", () => setParams(Object.fromEntries(NAMES.map((name) => [name, null])))),
	);
}

/** Offers the topics that there are; that which is chosen stays, also where there is none of it. */
async function fillTopics(select, chosen, topics) {
	const offer = (found) => {
		const options = found.map(({ topic, count }) => h("option", { value: topic }, `${start(topic, 60)} (${count})`));
		if (chosen && !found.some(({ topic }) => topic === chosen)) options.unshift(h("option", { value: chosen }, start(chosen, 60)));
		put(select, h("option", { value: "" }, "any"), options);
		select.value = chosen;
	};
	offer([]);
	offer((await topics().catch(() => ({}))).topics ?? []);
}
