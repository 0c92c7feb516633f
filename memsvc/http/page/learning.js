/** A user's extractions: what waits, runs and failed, why, and what it cost; retry, cancel, learn now. */

import { requestId } from "./api.js";
import { button, choice, link } from "./controls.js";
import { openDialog } from "./dialogs.js";
import { h, put, said } from "./dom.js";
import { cancelExtraction, follow } from "./following.js";
import { count, time, word } from "./format.js";
import { notice } from "./notices.js";
import { dayPlot } from "./plot.js";
import { route, setParams } from "./router.js";
import { empty, fill } from "./states.js";
import { soon } from "./timing.js";

const STATES = ["WAITING", "RUNNING", "SUCCEEDED", "FAILED", "CANCELLED"].map((name) => `EXTRACTION_STATE_${name}`);
const MOST = 1000;
const SHOWN = 100;
const RUNS = 100;
const LOOK = 3000;

export function learningView({ user, signal }) {
	const plot = h("div");
	const body = h("div");
	const state = choice([["", "Any state"], ...STATES.map((each) => [each, word(each)])], "", { "aria-label": "State", onchange: () => load() });
	let known = "";
	async function listed() {
		const states = state.value ? [state.value] : [];
		return (await user.call("Extraction/ListExtractions", { states, pageSize: MOST }, signal)).extractions ?? [];
	}
	function made(extractions) {
		known = JSON.stringify(extractions);
		put(plot, extractions.length > 0 && dayPlot(extractions));
		if (!extractions.length) return empty(state.value ? "None is in this state" : "Nothing was to learn yet");
		return h("ul.panel.list", extractions.slice(0, SHOWN).map((each) => line(user, each)));
	}
	const load = () => fill(body, async () => made(await listed()), signal).then(later);
	async function refresh() {
		later();
		if (document.hidden) return;
		// Where it fails, what is shown stays; it is asked for again.
		const extractions = await listed().catch(() => null);
		if (extractions && !signal.aborted && JSON.stringify(extractions) !== known) put(body, made(extractions));
	}
	const later = soon(refresh, LOOK, signal);
	user.live.afterChanges(refresh, signal);
	load();
	const open = () => {
		const wanted = route().params.get("x");
		if (wanted) watchDialog(user, wanted, signal);
	};
	addEventListener("hashchange", open, { signal });
	queueMicrotask(open);
	return h("div.fill",
		h("div.toolbar", state, h("span.spring"),
			button("Retry all that failed", () => retry(user, []).then(load)),
			button("Tidy memories now", () => tidy(user, signal))),
		h("div.scroll", plot, body),
	);
}

function line(user, each) {
	const isIn = (...names) => names.some((name) => each.state === `EXTRACTION_STATE_${name}`);
	const tokens = (each.usage?.inputTokens ?? 0) + (each.usage?.outputTokens ?? 0);
	return h("li.extraction",
		h("div.meta",
			h(`span.badge.${each.state}`, word(each.state)),
			link(route().path, word(each.kind), { x: each.extractionId }),
			each.sessionId && link(user.place("conversations", each.sessionId), said(each.sessionId), { run: each.runIds?.[0] }),
			h("span.spring"),
			h("span.muted", each.changeCount ? `${count(each.changeCount, "change")} · ` : "", tokens ? `${count(tokens, "token")} · ` : "", time(each.createTime)),
			isIn("WAITING", "RUNNING") && button("Cancel", () => cancel(user, each)),
			isIn("FAILED", "CANCELLED") && button("Retry", () => retry(user, [each.extractionId])),
		),
		(each.reason || each.detail) && h("p.muted", word(each.reason), each.detail && ": ", said(each.detail),
			each.nextAttemptTime && [" · next attempt ", time(each.nextAttemptTime)], each.attempt > 1 && ` · attempt ${each.attempt}`),
	);
}

async function cancel(user, { extractionId }) {
	await cancelExtraction(user, extractionId);
	notice("Cancelled: what it would read is skipped", () => retry(user, [extractionId]));
}

export function retried(number, undo = null) {
	notice(`${count(number, "extraction")} wait${number === 1 ? "s" : ""} again`, undo);
}

async function retry(user, extractionIds) {
	const { retriedCount = 0 } = await user.write("Extraction/RetryExtractions", { extractionIds });
	const [extractionId] = extractionIds;
	retried(retriedCount, extractionId && retriedCount ? () => cancel(user, { extractionId }) : null);
}

async function tidy(user, signal) {
	const { extractionId } = await user.write("Admin/ConsolidateMemories");
	watchDialog(user, extractionId, signal);
}

/** Opens a window of extractions. Returns its place, and the signal that says that it was closed. */
function learningDialog(title, body, closed = () => {}) {
	const leaving = new AbortController();
	const place = h("div.learning");
	openDialog(title, [body, place], { closed: () => (leaving.abort(), closed()) });
	return { place, until: leaving.signal };
}

function watchDialog(user, extractionId, signal) {
	const { place, until } = learningDialog("Learning", null, () => {
		if (route().params.get("x") === extractionId) setParams({ x: null }, { replaces: true });
	});
	follow(user, place, AbortSignal.any([signal, until]), { extractionId });
}

/** Opens the window that learns from runs now, or says what would be learned. */
export function learnDialog(user, runIds, ended) {
	const learn = async (validateOnly) => {
		allow(false);
		const request = { runs: { runIds: runIds.slice(-RUNS) }, validateOnly, ...(validateOnly ? {} : { requestId: requestId() }) };
		await follow(user, place, until, { begin: () => user.stream("Extraction/ExtractMemories", request, until) });
		allow(true);
		ended();
	};
	const allow = (isAllowed) => buttons.childNodes.forEach((each) => (each.disabled = !isAllowed));
	const buttons = h("div.actions",
		button("Learn now", () => learn(false), "primary"),
		button("Only show what would be learned", () => learn(true)));
	const words = `${count(Math.min(runIds.length, RUNS), "run")} ${runIds.length > RUNS ? "(the last ones) " : ""}will be read, learned from before or not.`;
	const { place, until } = learningDialog("Learn from this conversation", [h("p", words), buttons]);
}
