/** One memory, at the side: all that is known of it, where it came from, and what became of it. */

import { askToPurge, deleteMemory, restore } from "./actions.js";
import { commitLine } from "./changes.js";
import { button, link } from "./controls.js";
import { openDialog } from "./dialogs.js";
import { h, put, said } from "./dom.js";
import { editMemory } from "./editor.js";
import { layerName, pretty, time, word } from "./format.js";
import { here, route, setParams } from "./router.js";
import { facts, failure, loading } from "./states.js";

const TIMES = [["Said", "observeTime"], ["Created", "createTime"], ["Changed", "updateTime"], ["Expires", "expireTime"], ["True from", "validFrom"], ["True until", "validTo"]];
const NAMES = [["Agent", "agentId"], ["Team", "teamId"], ["Author", "authorId"]];

let shown = null;

export function openMemory(user, memoryId, signal) {
	if (shown?.memoryId === memoryId) return;
	closeMemory();
	const leaving = new AbortController();
	const body = h("div", loading(6));
	const dialog = openDialog("Memory", body, {
		kind: "drawer",
		closed: () => {
			leaving.abort();
			if (shown?.dialog !== dialog) return;
			shown = null;
			if (route().params.get("m") === memoryId) setParams({ m: null }, { replaces: true });
		},
	});
	shown = { memoryId, dialog };
	const until = AbortSignal.any([signal, leaving.signal]);
	const load = () => show(user, memoryId, body, until);
	load();
	user.live.on(({ commit, missed }) => {
		if (missed || commit?.changes?.some(({ before, after }) => (after ?? before).memoryId === memoryId)) load();
	}, until);
}

export function closeMemory() {
	const open = shown;
	shown = null;
	open?.dialog.close();
}

async function show(user, memoryId, body, signal) {
	const [memory, changes] = await Promise.allSettled([
		user.call("Memory/GetMemory", { memoryId }, signal),
		user.call("Memory/ListMemoryChanges", { memoryId, pageSize: 100 }, signal),
	]);
	if (signal.aborted) return;
	const past = changes.value && pastOf(user, changes.value, memoryId);
	if (memory.status === "fulfilled") put(body, details(user, memory.value.memory), past);
	else if (memory.reason.code === "not_found" && changes.value?.commits) {
		put(body, h("p.warning", "This memory is deleted. Its history can bring it back."), past);
	} else put(body, failure(memory.reason, () => show(user, memoryId, body, signal)));
}

function details(user, memory) {
	const { origin = {}, topics = [], metadata = {} } = memory;
	const rows = [
		["Key", memory.key && said(memory.key, "code")],
		["Value", memory.valueJson && said(pretty(memory.valueJson), "pre")],
		["Topics", topics.length > 0 && topics.map((topic) => said(topic, "span.chip.topic"))],
		["Trust", word(memory.trust)],
		["Polarity", word(memory.polarity)],
		...TIMES.map(([name, of]) => [name, memory[of] && time(memory[of], true)]),
		...NAMES.map(([name, of]) => [name, origin[of] && said(origin[of])]),
		["Found by", [origin.engine, origin.model].filter(Boolean).join(", ")],
		...Object.entries(metadata).map(([name, text]) => [said(name, "span.key"), said(text)]),
		["Id", said(memory.memoryId, "code")],
		["Configured at", Number(memory.configRevision) > 0 && `revision ${memory.configRevision}`],
	];
	return [
		h("p.meta", layerName(memory.layer), h("span.muted", `m${memory.number}`), memory.superseded && h("span.chip", "A fact of the past")),
		said(memory.text || "(no text)", "p.memory-text"),
		memory.successorId && h("p", link(route().path, "What took its place", here({ m: memory.successorId }))),
		h("div.actions",
			button("Edit", () => editMemory(user, memory), "primary"),
			button("Delete", () => deleteMemory(user, memory)),
			button("Purge…", () => askToPurge(user, [memory.memoryId]), "danger-text"),
		),
		source(user, memory),
		facts(rows.filter(([, value]) => value), "dl.details"),
	];
}

/** Returns where it came from: the words, and a link to their place in the conversation. */
function source(user, { input, origin = {} }) {
	const { sessionId, runId } = origin;
	return (input || sessionId) && h("section.source", h("h3", "Where it came from"), input && said(input, "blockquote"),
		sessionId && link(user.place("conversations", sessionId), "Open in its conversation", { run: runId }));
}

function pastOf(user, { commits = [], trimmed }, memoryId) {
	const back = ({ revision }) => button("Restore this", () => restore(user, revision, [memoryId]), "quiet",
		{ title: "Bring this memory back to what it was after this revision" });
	return h("section", h("h3", "History"),
		h("ol.commits", commits.map((commit) => commitLine(user, commit, memoryId, back(commit)))),
		trimmed && h("p.muted", "What was before is no longer kept."));
}
