/** All that ever changed of a user's memories, newest first, with a way back to each revision. */

import { call, write } from "./api.js";
import { revert } from "./actions.js";
import { commitLine } from "./changes.js";
import { openForm } from "./dialogs.js";
import { h, put } from "./dom.js";
import { count } from "./format.js";
import { attempt, notice } from "./notices.js";
import { empty, fill } from "./states.js";

const PAGE = 30;

export function historyView({ user, signal }) {
	const body = h("div");
	const list = h("ol.commits.panel");
	const older = h("button", { onclick: () => attempt(more) }, "Older");
	const end = h("p.muted");
	let token = "";

	const line = (commit) => {
		const element = commitLine(user, commit);
		element.querySelector(".meta").append(
			h("button.quiet", { onclick: () => goBack(user, commit.revision) }, "Go back to here…"));
		return element;
	};
	async function more() {
		const request = { scope: user.scope, pageSize: PAGE, pageToken: token };
		const page = await call("MemoryService/ListMemoryChanges", request, { signal });
		token = page.nextPageToken ?? "";
		list.append(...(page.commits ?? []).map(line));
		older.hidden = !token;
		put(end, !token && page.trimmed ? "What was before is no longer kept." : "");
	}
	async function load() {
		token = "";
		put(list);
		await more();
		return list.children.length ? [list, older, end] : empty("Nothing changed yet");
	}
	user.live.on(({ commit, missed, erased }) => {
		if (missed || erased || (commit && !list.isConnected)) fill(body, load, { signal });
		else if (commit && list.firstElementChild?.dataset.revision !== commit.revision) list.prepend(line(commit));
	}, signal);
	fill(body, load, { signal });
	return h("div.scroll", body);
}

/** Brings all memories back to a revision, after saying what that changes. */
async function goBack(user, revision) {
	const request = { scope: user.scope, toRevision: String(revision), all: true };
	const preview = await attempt(() => call("MemoryService/RestoreMemories", { ...request, validateOnly: true }));
	if (!preview) return;
	const changes = preview.commit?.changes?.length ?? 0;
	if (!changes) return void notice(`All is as it was at revision ${revision}`);
	openForm(
		`Go back to revision ${revision}?`,
		h("p", `${count(changes, "memory", "memories")} will be as they were then. It is one more revision, which can be undone.`),
		{
			action: "Go back",
			submit: async () => {
				const made = await write("MemoryService/RestoreMemories", request);
				notice(`Went back to revision ${revision} · revision ${made.revision}`, { undo: () => revert(user, made.revision) });
			},
		},
	);
}
