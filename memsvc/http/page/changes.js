/** Commits, newest first: what each changed, who asked for it, and a way back. */

import { restore, revert } from "./actions.js";
import { h, said, start } from "./dom.js";
import { count, time, value, word } from "./format.js";
import { href, route } from "./router.js";
import { attempt } from "./notices.js";

const FOLDED = 5;

/** Returns the commits as a list. `only`: the one memory that it is about. */
export function changeLines(user, commits, { only = null } = {}) {
	return h("ol.commits", commits.map((commit) => commitLine(user, commit, only)));
}

export function commitLine(user, commit, only = null) {
	const changes = (commit.changes ?? []).filter((change) => !only || (change.after ?? change.before).memoryId === only);
	const lines = changes.map((change) => changeLine(change, only));
	const back = only
		? h("button.quiet", { title: "Bring this memory back to what it was after this revision", onclick: () => attempt(() => restore(user, commit.revision, [only])) }, "Restore this")
		: null;
	return h("li.commit", { "data-revision": commit.revision },
		h("div.meta",
			h("strong", `Revision ${commit.revision}`), time(commit.time),
			commit.actor ? said(commit.actor, "span.muted") : null,
			commit.extractionId ? h("a", { href: href(["user", user.userId, "learning"], { x: commit.extractionId }) }, "learned") : null,
			h("span.spring"), back,
			h("button.quiet", { onclick: () => attempt(() => revert(user, commit.revision)) }, "Undo"),
		),
		h("ul.changes", lines.slice(0, FOLDED)),
		lines.length > FOLDED ? h("details", h("summary", `${count(lines.length - FOLDED)} more`), h("ul.changes", lines.slice(FOLDED))) : null,
	);
}

function changeLine({ kind, before, after, cause, former }, only) {
	const memory = after ?? before;
	const cause_ = cause && cause !== "CHANGE_CAUSE_REQUESTED" ? h("span.chip", word(cause)) : null;
	const name = h("span", { class: `kind ${kind}` }, word(kind));
	const { path, params } = route();
	const open = href(path, { ...Object.fromEntries(params), m: memory.memoryId });
	const label = only ? null : h("a", { href: open, class: "muted" }, `m${memory.number}`);
	return h("li", name, " ", label, " ", cause_, " ", differences(before, after), former ? h("span.muted", " (what was so is kept as a fact of the past)") : null);
}

/** Returns what is other than before: old words struck out, new ones beside them. */
function differences(before, after) {
	if (!before || !after) return said(start(textOf(after ?? before), 300), after ? "ins" : "del");
	const parts = [];
	const each = (name, old, now) => {
		if (old === now) return;
		parts.push(h("div", name ? h("span.muted", `${name} `) : null, old ? said(start(old, 300), "del") : null, old && now ? " " : null, now ? said(start(now, 300), "ins") : null));
	};
	each("", before.text ?? "", after.text ?? "");
	each("value", before.valueJson ? value(before.valueJson) : "", after.valueJson ? value(after.valueJson) : "");
	each("topics", (before.topics ?? []).join(", "), (after.topics ?? []).join(", "));
	each("expires", before.expireTime ?? "", after.expireTime ?? "");
	each("trust", word(before.trust), word(after.trust));
	each("polarity", word(before.polarity), word(after.polarity));
	each("true until", before.validTo ?? "", after.validTo ?? "");
	each("metadata", before.metadata ? JSON.stringify(before.metadata) : "", after.metadata ? JSON.stringify(after.metadata) : "");
	return parts.length ? parts : h("span.muted", "nothing that is shown here");
}

function textOf(memory) {
	return memory.text || (memory.key ? `${memory.key} = ${memory.valueJson ?? ""}` : "(blanked)");
}
