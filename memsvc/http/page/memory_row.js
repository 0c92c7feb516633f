/** A memory in a list. */

import { h, said, start } from "./dom.js";
import { layerName, time, value, word } from "./format.js";
import { href, route } from "./router.js";

/** Returns a link that opens a memory beside what is shown. */
export function memoryLink(memory, ...children) {
	const { path, params } = route();
	const kept = {};
	for (const name of params.keys()) kept[name] = params.getAll(name);
	return h("a", { href: href(path, { ...kept, m: memory.memoryId }), class: "memory-link" }, children);
}

/** Returns a memory in one line. */
export function memoryLine(memory) {
	return memoryLink(memory, memory.key ? said(memory.key, "span.key") : null, memory.key ? " " : null, said(textOf(memory, 160)));
}

/** Returns the row of a memory. `toggle(event)` is called when it is ticked. */
export function memoryRow(memory, { score = null, isChosen = false, isNew = false, toggle = null } = {}) {
	return h(
		"div",
		{ class: `row memory ${memory.layer}${isNew ? " new" : ""}` },
		toggle
			? h("input", { type: "checkbox", checked: isChosen, onclick: toggle, "aria-label": `Select ${start(memory.text, 60)}` })
			: null,
		h("div.memory-body",
			memoryLink(memory, said(textOf(memory, 400), "span.clamp")),
			h("div.meta",
				layerName(memory.layer),
				memory.key ? said(`${memory.key}${memory.valueJson ? ` = ${start(value(memory.valueJson), 40)}` : ""}`, "span.key") : null,
				memory.polarity ? h("span.chip", word(memory.polarity)) : null,
				memory.superseded ? h("span.chip", "Past") : null,
				memory.trust && memory.trust !== "TRUST_STATED" ? h("span.chip", word(memory.trust)) : null,
				(memory.topics ?? []).slice(0, 3).map((topic) => said(start(topic, 24), "span.chip.topic")),
				h("span.muted.when", `m${memory.number} · `, time(memory.updateTime)),
			),
		),
		score === null ? null : scoreOf(score),
	);
}

function textOf(memory, length) {
	return start(memory.text || (memory.valueJson ? value(memory.valueJson) : "(blank)"), length);
}

function scoreOf(score) {
	const percent = Math.round(score * 100);
	return h("span.score", { title: "How sure it is, 0 to 1" }, h("meter", { min: "0", max: "1", value: score, "aria-label": `Score ${percent}%` }), score.toFixed(2));
}
