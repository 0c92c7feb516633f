/** One memory, at the side: all that is known of it, where it came from, and what became of it. */

import { askToPurge, deleteMemory } from "./actions.js";
import { call } from "./api.js";
import { changeLines } from "./changes.js";
import { openDialog } from "./dialogs.js";
import { h, put, said } from "./dom.js";
import { editMemory } from "./editor.js";
import { layerName, pretty, time, word } from "./format.js";
import { attempt } from "./notices.js";
import { href, route, setParams } from "./router.js";
import { failure, loading } from "./states.js";

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
		if (missed || commit?.changes?.some((change) => (change.after ?? change.before).memoryId === memoryId)) load();
	}, until);
}

export function closeMemory() {
	const open = shown;
	shown = null;
	open?.dialog.close();
}

async function show(user, memoryId, body, signal) {
	const { scope } = user;
	const [memory, changes] = await Promise.allSettled([
		call("MemoryService/GetMemory", { scope, memoryId }, { signal }),
		call("MemoryService/ListMemoryChanges", { scope, memoryId, pageSize: 100 }, { signal }),
	]);
	if (signal.aborted) return;
	const history = changes.value?.commits ?? [];
	if (memory.status === "fulfilled") put(body, details(user, memory.value.memory), pastOf(user, changes.value, memoryId));
	else if (memory.reason.code === "not_found" && history.length) {
		put(body, h("p.warning", "This memory is deleted. Its history can bring it back."), pastOf(user, changes.value, memoryId));
	} else put(body, failure(memory.reason, () => show(user, memoryId, body, signal)));
}

function details(user, memory) {
	const { origin = {} } = memory;
	const rows = [
		["Key", memory.key && said(memory.key, "code")],
		["Value", memory.valueJson && said(pretty(memory.valueJson), "pre")],
		["Topics", memory.topics?.map((topic) => said(topic, "span.chip.topic"))],
		["Trust", word(memory.trust)],
		["Polarity", memory.polarity && word(memory.polarity)],
		["Said", memory.observeTime && time(memory.observeTime, { exact: true })],
		["Created", time(memory.createTime, { exact: true })],
		["Changed", time(memory.updateTime, { exact: true })],
		["Expires", memory.expireTime && time(memory.expireTime, { exact: true })],
		["True from", memory.validFrom && time(memory.validFrom, { exact: true })],
		["True until", memory.validTo && time(memory.validTo, { exact: true })],
		["Agent", origin.agentId && said(origin.agentId)],
		["Team", origin.teamId && said(origin.teamId)],
		["Author", origin.authorId && said(origin.authorId)],
		["Found by", [origin.engine, origin.model].filter(Boolean).join(", ")],
		["Metadata", memory.metadata && Object.entries(memory.metadata).map(([name, text]) => h("div", said(name, "span.key"), " ", said(text)))],
		["Id", said(memory.memoryId, "code")],
		["Configured at", Number(memory.configRevision) > 0 && `revision ${memory.configRevision}`],
	];
	return [
		h("p.meta", layerName(memory.layer), h("span.muted", `m${memory.number}`),
			memory.superseded ? h("span.chip", "A fact of the past") : null),
		said(memory.text || "(no text)", "p.memory-text"),
		memory.successorId ? h("p", h("a", { href: href(route().path, { m: memory.successorId }) }, "What took its place")) : null,
		h("div.actions",
			h("button.primary", { onclick: () => editMemory(user, memory) }, "Edit"),
			h("button", { onclick: () => attempt(() => deleteMemory(user, memory)) }, "Delete"),
			h("button.danger-text", { onclick: () => askToPurge(user, [memory.memoryId]) }, "Purge…"),
		),
		source(user, memory),
		h("dl.details", rows.map(([name, shownAs]) => (shownAs && (!Array.isArray(shownAs) || shownAs.length) ? h("div", h("dt", name), h("dd", shownAs)) : null))),
	];
}

/** Returns where it came from: the words, and a link to their place in the conversation. */
function source(user, { input, origin = {} }) {
	if (!input && !origin.sessionId) return null;
	const place = origin.sessionId
		? h("a", { href: href(["user", user.userId, "conversations", origin.sessionId], { run: origin.runId }) }, "Open in its conversation")
		: null;
	return h("section.source", h("h3", "Where it came from"), input ? said(input, "blockquote") : null, place);
}

function pastOf(user, changes, memoryId) {
	if (!changes) return null;
	return h(
		"section",
		null,
		h("h3", "History"),
		changeLines(user, changes.commits ?? [], { only: memoryId }),
		changes.trimmed ? h("p.muted", "What was before is no longer kept.") : null,
	);
}
