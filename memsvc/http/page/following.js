/** An extraction as it goes: what is proposed, live, and what comes of it. It goes on where the connection broke. */

import { commitLine } from "./changes.js";
import { button } from "./controls.js";
import { h, put, said, start } from "./dom.js";
import { count, tokensOf, word } from "./format.js";
import { inWords } from "./states.js";
import { pause } from "./timing.js";

const RETRIES = 20;
const WAIT = 700;

/**
 * Shows an extraction in `place` until it ends: that of `extractionId`, or the one that is begun by `begin()`, which
 * returns its events.
 */
export async function follow(user, place, signal, { extractionId = "", begin = null }) {
	const view = { user, attempt: 0, extractionId, token: "" };
	view.state = h("p.meta", { role: "status" }, "Asking…");
	view.hints = h("ul.changes", { "aria-label": "Proposed" });
	view.result = h("div");
	view.cancel = button("Cancel learning", () => cancelExtraction(user, view.extractionId), null, { hidden: true });
	put(place, view.state, view.hints, view.result, view.cancel);
	const watch = () => user.stream("Extraction/WatchExtraction", { extractionId: view.extractionId, resumeToken: view.token }, signal);
	let events = begin ? begin() : watch();
	for (let tries = 0; tries < RETRIES; tries++) {
		try {
			for await (const { event } of events) heard(view, event);
			return;
		} catch (error) {
			if (signal.aborted) return;
			if (!error.isTransient || !view.extractionId) {
				put(view.state, h("span.field-error", inWords(error)));
				return;
			}
			put(view.state, "The connection broke; going on…");
			await pause(WAIT, signal);
			events = watch();
		}
	}
}

export function cancelExtraction(user, extractionId) {
	return user.write("Extraction/CancelExtraction", { extractionId });
}

function heard(view, event) {
	view.token = event.resumeToken || view.token;
	const { accepted, progress, proposed, committed, failed, completed, refused, retried } = event;
	const warn = (words, detail = "") => view.result.append(h("p.warning", `${words}. `, said(detail)));
	if (accepted) {
		view.extractionId = accepted.extraction?.extractionId ?? "";
		view.cancel.hidden = !view.extractionId;
		put(view.state, "Accepted");
	}
	if (progress) {
		const written = progress.outputBytes && h("span.muted", `${count(progress.outputBytes)} bytes so far`);
		put(view.state, [progress.state, progress.reason].filter(Boolean).map(word).join(": "), written);
	}
	if (proposed) propose(view, proposed);
	if (refused) warn(`Not done: ${word(refused.reason)}`, refused.detail);
	if (retried) put(view.result);
	if (failed) warn(`${word(failed.state)}: ${word(failed.reason)}`, failed.detail);
	if (committed) commit(view, committed.commit ?? {});
	if (completed) {
		const { state, usage } = completed.extraction ?? {};
		view.cancel.hidden = true;
		put(view.state, h("strong", word(state) || "Done"), h("span.muted", tokensOf(usage)));
	}
}

/** Shows a hint; a further attempt makes those before it void. */
function propose(view, { attempt: made = 0, kind, memory = {} }) {
	if (made > view.attempt) {
		view.attempt = made;
		put(view.hints);
	}
	view.hints.append(hint(kind, memory));
}

function commit(view, made) {
	put(view.hints);
	if (!made.changes?.length) view.result.append(h("p", "There was nothing to learn."));
	else if (Number(made.revision ?? 0) > 0) view.result.append(h("ol", commitLine(view.user, made)));
	else view.result.append(h("p", "Would be learned:"), h("ul.changes", made.changes.map(({ kind, before, after }) => hint(kind, after ?? before))));
}

function hint(kind, memory) {
	return h("li", h("span.kind", word(kind)), " ", said(start(memory.text || memory.key, 300)));
}
