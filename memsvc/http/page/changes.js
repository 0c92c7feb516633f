/** Commits, newest first: what each changed, who asked for it, and a way back. */

import { revert } from "./actions.js";
import { button, link } from "./controls.js";
import { h, said, start } from "./dom.js";
import { count, time, value, word } from "./format.js";
import { here, route } from "./router.js";

const FOLDED = 5;

/** Returns a commit. `only`: the one memory that it is about; `back`: a button that leads back to it. */
export function commitLine(user, commit, only = null, back = null) {
	const changes = (commit.changes ?? []).filter(({ before, after }) => !only || (after ?? before).memoryId === only);
	const lines = changes.map((change) => changeLine(change, only));
	return h("li.commit", { "data-revision": commit.revision },
		h("div.meta",
			h("strong", `Revision ${commit.revision}`), time(commit.time),
			commit.actor && said(commit.actor, "span.muted"),
			commit.extractionId && link(user.place("learning"), "learned", { x: commit.extractionId }),
			h("span.spring"),
			button("Undo", () => revert(user, commit.revision), "quiet"),
			back,
		),
		h("ul.changes", lines.slice(0, FOLDED)),
		lines.length > FOLDED && h("details", h("summary", `${count(lines.length - FOLDED)} more`), h("ul.changes", lines.slice(FOLDED))),
	);
}

function changeLine({ kind, before, after, cause, former }, only) {
	const { number, memoryId } = after ?? before;
	return h("li", h("span.kind", word(kind)), " ",
		!only && link(route().path, `m${number}`, here({ m: memoryId }), "muted"), " ",
		cause && cause !== "CHANGE_CAUSE_REQUESTED" && h("span.chip", word(cause)), " ",
		differences(before, after),
		former && h("span.muted", " (what was so is kept as a fact of the past)"));
}

/** Returns what is other than before: old words struck out, new ones beside them. */
function differences(before, after) {
	if (!before || !after) return said(start(textOf(after ?? before), 300), after ? "ins" : "del");
	const parts = [];
	const each = (name, read) => {
		const [old, now] = [before, after].map((memory) => read(memory) || "");
		if (old !== now) parts.push(h("div", name && h("span.muted", `${name} `), old && said(start(old, 300), "del"), " ", now && said(start(now, 300), "ins")));
	};
	each("", ({ text }) => text);
	each("value", ({ valueJson }) => valueJson && value(valueJson));
	each("topics", ({ topics = [] }) => topics.join(", "));
	each("expires", ({ expireTime }) => expireTime);
	each("trust", ({ trust }) => word(trust));
	each("polarity", ({ polarity }) => word(polarity));
	each("true until", ({ validTo }) => validTo);
	each("metadata", ({ metadata }) => metadata && JSON.stringify(metadata));
	return parts.length ? parts : h("span.muted", "nothing that is shown here");
}

function textOf({ text, key, valueJson = "" }) {
	return text || (key ? `${key} = ${valueJson}` : "(blanked)");
}
