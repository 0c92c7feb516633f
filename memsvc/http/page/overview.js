/** A user at a glance: the four layers as cards, and as the nested document that agents read. */

import { call } from "./api.js";
import { h, put } from "./dom.js";
import { count, LAYERS, MEANINGS, time, word } from "./format.js";
import { memoryLine } from "./memory_row.js";
import { href } from "./router.js";
import { empty, fill } from "./states.js";
import { tree } from "./tree.js";

const NEWEST = 5;

export function overviewView({ user, signal }) {
	const body = h("div");
	const load = () => fill(body, () => made(user, signal), { signal, lines: 8 });
	let planned = 0;
	user.live.on((event) => {
		if (!event.commit && !event.missed && !event.erased) return;
		clearTimeout(planned);
		// Many commits in a row are shown once; nothing is taken away before the new is there.
		planned = setTimeout(() => refresh(body, user, signal), 250);
	}, signal);
	load();
	return h("div.scroll", body);
}

async function refresh(body, user, signal) {
	try {
		const element = await made(user, signal);
		const open = body.querySelector("details")?.open;
		if (!signal.aborted) put(body, element);
		if (open) body.querySelector("details").open = true;
	} catch {
		// What is shown stays; the line above says that the connection is broken.
	}
}

async function made(user, signal) {
	const { scope } = user;
	const list = (layer) =>
		call("MemoryService/ListMemories", { scope, filter: { layers: [layer] }, pageSize: NEWEST }, { signal });
	const [stats, whole, ...layers] = await Promise.all([
		call("AdminService/GetStats", { scope }, { signal }),
		call("MemoryService/GetUserMemory", { scope }, { signal }).catch((error) => ({ error })),
		...LAYERS.map(list),
	]);
	return [
		facts(stats),
		h("div.cards", LAYERS.map((layer, at) => card(user, layer, layers[at]))),
		documentOf(whole),
	];
}

function facts(stats) {
	const pairs = [
		["Memories", `${count(stats.memoryCount)} of ${count(stats.memoryQuota)}`],
		["Runs", count(stats.runCount)],
		["Not learned yet", count(stats.pendingRunCount)],
		["Revision", count(stats.revision)],
		["Last change", stats.updateTime ? time(stats.updateTime) : "–"],
	];
	const warnings = [
		stats.waitingExtractionCount ? `${count(stats.waitingExtractionCount)} waiting: ${word(stats.waitingReason)}` : "",
		stats.failedExtractionCount ? `${count(stats.failedExtractionCount)} failed: ${word(stats.failedReason)}` : "",
	].filter(Boolean);
	return h(
		"div",
		null,
		h("dl.facts", pairs.map(([name, shown]) => h("div", h("dt", name), h("dd", shown)))),
		warnings.length ? h("p.warning", warnings.join(" · ")) : null,
	);
}

function card(user, layer, { memories = [], totalSize = 0 }) {
	const all = href(["user", user.userId, "memories"], { layer });
	return h(
		"section",
		{ class: `card ${layer}`, "aria-label": word(layer) },
		h("header", h("h2", word(layer)), h("span.muted", count(totalSize))),
		h("p.hint", MEANINGS[layer]),
		memories.length
			? h("ul.lines", memories.map((memory) => h("li", memoryLine(memory))))
			: h("p.muted", "Nothing yet."),
		totalSize > memories.length ? h("a", { href: all, class: "more" }, `All ${count(totalSize)}`) : null,
	);
}

function documentOf({ documentJson, error }) {
	const body = error
		? h("p.muted", error.message)
		: documentJson && documentJson !== "{}"
			? tree(JSON.parse(documentJson))
			: empty("The document is empty");
	return h("details.panel.document", { open: true }, h("summary", h("h2", "As one document")), body);
}

