/** A memory in a list. */

import { link } from "./controls.js";
import { h, said, start } from "./dom.js";
import { layerName, time, value, word } from "./format.js";
import { here, route } from "./router.js";

function memoryLink({ memoryId }, ...children) {
	return link(route().path, children, here({ m: memoryId }), "memory-link");
}

export function memoryLine(memory) {
	return memoryLink(memory, memory.key && [said(memory.key, "span.key"), " "], said(textOf(memory, 160)));
}

/** Returns the row of a memory. `toggle(event)` is called when it is ticked. */
export function memoryRow(memory, { score, isChosen, isNew, toggle }) {
	const { text, key, valueJson, polarity, superseded, trust, topics = [] } = memory;
	return h(`div.row.memory.${memory.layer}${isNew ? ".new" : ""}`,
		h("input", { type: "checkbox", checked: isChosen, onclick: toggle, "aria-label": `Select ${start(text, 60)}` }),
		h("div.memory-body",
			memoryLink(memory, said(textOf(memory, 400), "span.clamp")),
			h("div.meta",
				layerName(memory.layer),
				key && said(`${key}${valueJson ? ` = ${start(value(valueJson), 40)}` : ""}`, "span.key"),
				polarity && h("span.chip", word(polarity)),
				superseded && h("span.chip", "Past"),
				trust && trust !== "TRUST_STATED" && h("span.chip", word(trust)),
				topics.slice(0, 3).map((topic) => said(start(topic, 24), "span.chip.topic")),
				h("span.muted.when", h("span.wide-only", `m${memory.number} · `), time(memory.updateTime)),
			),
		),
		score !== null && h("span.score", { title: "How sure it is, 0 to 1" },
			h("meter", { min: "0", max: "1", value: score, "aria-label": `Score ${Math.round(score * 100)}%` }), score.toFixed(2)),
	);
}

function textOf({ text, valueJson }, length) {
	return start(text || (valueJson ? value(valueJson) : "(blank)"), length);
}
