/** A user at a glance: the four layers as cards, and as the nested document that agents read. */

import { link } from "./controls.js";
import { h } from "./dom.js";
import { count, LAYERS, MEANINGS, time, word } from "./format.js";
import { memoryLine } from "./memory_row.js";
import { empty, facts, fillLive } from "./states.js";
import { tree } from "./tree.js";

const NEWEST = 5;

export function overviewView({ user, signal }) {
	const body = h("div");
	fillLive(body, () => made(user, signal), user, signal);
	return h("div.scroll", body);
}

async function made(user, signal) {
	const [stats, whole, ...layers] = await Promise.all([
		user.call("Admin/GetStats", {}, signal),
		user.call("Memory/GetUserMemory", {}, signal).catch((error) => ({ error })),
		...LAYERS.map((layer) => user.call("Memory/ListMemories", { filter: { layers: [layer] }, pageSize: NEWEST }, signal)),
	]);
	return [
		about(stats),
		h("div.cards", LAYERS.map((layer, at) => card(user, layer, layers[at]))),
		documentOf(whole),
	];
}

function about(stats) {
	const warnings = ["waiting", "failed"].filter((each) => stats[`${each}ExtractionCount`])
		.map((each) => `${count(stats[`${each}ExtractionCount`])} ${each}: ${word(stats[`${each}Reason`])}`);
	return h("div",
		facts([
			["Memories", `${count(stats.memoryCount)} of ${count(stats.memoryQuota)}`],
			["Runs", count(stats.runCount)],
			["Not learned yet", count(stats.pendingRunCount)],
			["Revision", count(stats.revision)],
			["Last change", time(stats.updateTime)],
		], "dl.facts"),
		warnings.length > 0 && h("p.warning", warnings.join(" · ")),
	);
}

function card(user, layer, { memories = [], totalSize = 0 }) {
	return h(`section.card.${layer}`, { "aria-label": word(layer) },
		h("header", h("h2", word(layer)), h("span.muted", count(totalSize))),
		h("p.hint", MEANINGS[layer]),
		memories.length
			? h("ul.lines", memories.map((memory) => h("li", memoryLine(memory))))
			: h("p.muted", "Nothing yet."),
		totalSize > memories.length && link(user.place("memories"), `All ${count(totalSize)}`, { layer }, "more"),
	);
}

function documentOf({ documentJson = "{}", error }) {
	const body = error
		? h("p.muted", error.message)
		: documentJson === "{}"
			? empty("The document is empty")
			: tree(JSON.parse(documentJson));
	return h("details.panel.document", { open: true }, h("summary", h("h2", "As one document")), body);
}
