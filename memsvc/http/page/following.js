/** An extraction as it goes: what is proposed, live, and what comes of it. It goes on where the connection broke. */

import { ApiError, stream, write } from "./api.js";
import { commitLine } from "./changes.js";
import { h, put, said, start } from "./dom.js";
import { count, word } from "./format.js";
import { attempt } from "./notices.js";
import { messageOf, titleOf } from "./states.js";

const RETRIES = 20;
const WAIT = 700;

/** Shows events in `place` until the extraction ends; `begin(signal)` yields them first. Returns the extraction. */
export async function follow(user, place, begin, signal) {
	const view = { user, place, proposed: new Map(), attempt: 0, extractionId: "", token: "", ended: null };
	view.state = h("p.meta", { role: "status" }, "Asking…");
	view.hints = h("ul.changes", { "aria-label": "Proposed" });
	view.result = h("div");
	view.cancel = h("button", { hidden: true, onclick: () => attempt(() => cancelExtraction(user, view.extractionId)) }, "Cancel learning");
	put(place, view.state, view.hints, view.result, view.cancel);
	let events = begin(signal);
	for (let tries = 0; tries < RETRIES; tries++) {
		try {
			for await (const { event } of events) heard(view, event);
			return view.ended;
		} catch (error) {
			if (signal.aborted) return null;
			if (!(error instanceof ApiError) || !error.isTransient || !view.extractionId) {
				put(view.state, h("span.field-error", `${titleOf(error)}. ${messageOf(error)}`));
				return null;
			}
			put(view.state, "The connection broke; going on…");
			await new Promise((resolve) => setTimeout(resolve, WAIT));
			events = watched(user, view.extractionId, view.token, signal);
		}
	}
	return null;
}

export function watched(user, extractionId, resumeToken, signal) {
	return stream("ExtractionService/WatchExtraction", { scope: user.scope, extractionId, resumeToken }, { signal });
}

export async function cancelExtraction(user, extractionId) {
	return write("ExtractionService/CancelExtraction", { scope: user.scope, extractionId });
}

function heard(view, event) {
	view.token = event.resumeToken || view.token;
	const { accepted, progress, proposed, committed, failed, completed, refused, retried } = event;
	if (accepted) {
		view.extractionId = accepted.extraction?.extractionId ?? "";
		view.cancel.hidden = !view.extractionId;
		put(view.state, "Accepted");
	}
	if (progress) {
		const reason = progress.reason ? `: ${word(progress.reason)}` : "";
		put(view.state, `${word(progress.state)}${reason}`, progress.outputBytes ? h("span.muted", `${count(progress.outputBytes)} bytes so far`) : null);
	}
	if (proposed) propose(view, proposed);
	if (refused) view.result.append(h("p.warning", `Not done: ${word(refused.reason)}. `, said(refused.detail ?? "")));
	if (retried) put(view.result);
	if (failed) view.result.append(h("p.warning", `${word(failed.state)}: ${word(failed.reason)}. `, said(failed.detail ?? "")));
	if (committed) commit(view, committed.commit ?? {});
	if (completed) {
		view.ended = completed.extraction ?? {};
		view.cancel.hidden = true;
		const { usage } = view.ended;
		put(view.state, h("strong", word(view.ended.state) || "Done"), usage?.calls ? h("span.muted", `${count(usage.inputTokens)} + ${count(usage.outputTokens)} tokens`) : null);
	}
}

/** Shows a hint; a further attempt makes those before it void. */
function propose(view, { attempt: made = 0, kind, memory = {} }) {
	if (made > view.attempt) {
		view.attempt = made;
		put(view.hints);
	}
	view.hints.append(h("li", h("span", { class: `kind ${kind}` }, word(kind)), " ", said(start(memory.text || memory.key || "", 200))));
}

function commit(view, made) {
	put(view.hints);
	if (!made.changes?.length) return void view.result.append(h("p", "There was nothing to learn."));
	if (Number(made.revision ?? 0) > 0) return void view.result.append(h("ol", commitLine(view.user, made)));
	const line = (change) => h("li", h("span.kind", word(change.kind)), " ", said(start((change.after ?? change.before).text ?? "", 300)));
	view.result.append(h("p", "Would be learned:"), h("ul.changes", made.changes.map(line)));
}
