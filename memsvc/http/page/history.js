/** All that ever changed of a user's memories, newest first, with a way back to each revision. */

import { done } from "./actions.js";
import { commitLine } from "./changes.js";
import { button } from "./controls.js";
import { openForm } from "./dialogs.js";
import { h, put } from "./dom.js";
import { countMemories } from "./format.js";
import { notice } from "./notices.js";
import { empty, fill } from "./states.js";

const PAGE = 30;

export function historyView({ user, signal }) {
	const body = h("div");
	const list = h("ol.commits.panel");
	const older = button("Older", more);
	const end = h("p.muted");
	let pageToken = "";

	const line = (commit) => commitLine(user, commit, null, button("Go back to here…", () => goBack(user, commit.revision), "quiet"));
	async function more() {
		const page = await user.call("Memory/ListMemoryChanges", { pageSize: PAGE, pageToken }, signal);
		pageToken = page.nextPageToken ?? "";
		list.append(...(page.commits ?? []).map(line));
		older.hidden = !pageToken;
		put(end, !pageToken && page.trimmed && "What was before is no longer kept.");
	}
	async function load() {
		pageToken = "";
		put(list);
		await more();
		return list.children.length ? [list, older, end] : empty("Nothing changed yet");
	}
	user.live.on(({ commit, missed, erased }) => {
		if (missed || erased || (commit && !list.isConnected)) fill(body, load, signal);
		else if (commit && list.firstElementChild?.dataset.revision !== commit.revision) list.prepend(line(commit));
	}, signal);
	fill(body, load, signal);
	return h("div.scroll", body);
}

async function goBack(user, revision) {
	const request = { toRevision: String(revision), all: true };
	const preview = await user.call("Memory/RestoreMemories", { ...request, validateOnly: true });
	const changes = preview.commit?.changes?.length ?? 0;
	if (!changes) return void notice(`All is as it was at revision ${revision}`);
	openForm(
		`Go back to revision ${revision}?`,
		h("p", `${countMemories(changes)} will be as they were then. It is one more revision, which can be undone.`),
		{
			action: "Go back",
			submit: async () => {
				const made = await user.write("Memory/RestoreMemories", request);
				done(user, `Went back to revision ${revision}`, made.revision);
			},
		},
	);
}
