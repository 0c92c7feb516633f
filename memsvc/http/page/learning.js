/** A user's extractions: what waits, runs and failed, why, and what it cost; retry, cancel, learn now. */

import { call, requestId, stream, write } from "./api.js";
import { choice, openDialog } from "./dialogs.js";
import { h, put, said } from "./dom.js";
import { cancelExtraction, follow, watched } from "./following.js";
import { count, time, word } from "./format.js";
import { attempt, notice } from "./notices.js";
import { dayPlot } from "./plot.js";
import { href, route, setParams } from "./router.js";
import { empty, fill } from "./states.js";

const STATES = ["WAITING", "RUNNING", "SUCCEEDED", "FAILED", "CANCELLED"].map((name) => `EXTRACTION_STATE_${name}`);
const MOST = 1000;
const SHOWN = 100;
const RUNS = 100;
const AFTER = 400;
const LOOK = 3000;

export function learningView({ user, params, signal }) {
	const plot = h("div");
	const body = h("div");
	const state = choice([["", "Any state"], ...STATES.map((each) => [each, word(each)])], "", { "aria-label": "State", onchange: () => load() });
	let planned = 0;
	let known = "";
	async function listed() {
		const states = state.value ? [state.value] : [];
		return (await call("ExtractionService/ListExtractions", { scope: user.scope, states, pageSize: MOST }, { signal })).extractions ?? [];
	}
	function made(extractions) {
		known = JSON.stringify(extractions);
		put(plot, extractions.length ? dayPlot(extractions) : null);
		if (!extractions.length) return empty(state.value ? "None is in this state" : "Nothing was to learn yet");
		return h("ul.panel.list", extractions.slice(0, SHOWN).map((each) => line(user, each)));
	}
	const load = () => fill(body, async () => made(await listed()), { signal });
	async function refresh() {
		clearTimeout(planned);
		planned = setTimeout(refresh, LOOK);
		if (document.hidden) return;
		try {
			const extractions = await listed();
			if (!signal.aborted && JSON.stringify(extractions) !== known) put(body, made(extractions));
		} catch {
			// What is shown stays; it is asked for again.
		}
	}
	signal.addEventListener("abort", () => clearTimeout(planned));
	user.live.on(({ commit }) => {
		if (!commit) return;
		clearTimeout(planned);
		planned = setTimeout(refresh, AFTER);
	}, signal);
	load().then(() => (planned = setTimeout(refresh, LOOK)));
	const open = () => {
		const wanted = route().params.get("x");
		if (wanted) watchDialog(user, wanted, signal);
	};
	addEventListener("hashchange", open, { signal });
	if (params.get("x")) queueMicrotask(open);
	return h("div.fill",
		h("div.toolbar", state, h("span.spring"),
			h("button", { onclick: () => attempt(() => retry(user, []).then(load)) }, "Retry all that failed"),
			h("button", { onclick: () => attempt(() => tidy(user, signal)) }, "Tidy memories now")),
		h("div.scroll", plot, body),
	);
}

function line(user, each) {
	const isOpen = each.state === "EXTRACTION_STATE_WAITING" || each.state === "EXTRACTION_STATE_RUNNING";
	const isOver = each.state === "EXTRACTION_STATE_FAILED" || each.state === "EXTRACTION_STATE_CANCELLED";
	const tokens = (each.usage?.inputTokens ?? 0) + (each.usage?.outputTokens ?? 0);
	return h("li.extraction",
		h("div.meta",
			h("span", { class: `badge ${each.state}` }, word(each.state)),
			h("a", { href: href(route().path, { x: each.extractionId }) }, word(each.kind)),
			each.sessionId ? h("a", { href: href(["user", user.userId, "conversations", each.sessionId], { run: each.runIds?.[0] }) }, said(each.sessionId)) : null,
			h("span.spring"),
			h("span.muted", each.changeCount ? `${count(each.changeCount, "change")} · ` : "", tokens ? `${count(tokens, "token")} · ` : "", time(each.createTime)),
			isOpen ? h("button", { onclick: () => attempt(() => cancel(user, each)) }, "Cancel") : null,
			isOver ? h("button", { onclick: () => attempt(() => retry(user, [each.extractionId])) }, "Retry") : null,
		),
		each.reason || each.detail
			? h("p.muted", word(each.reason), each.detail ? ": " : "", said(each.detail ?? ""),
				each.nextAttemptTime ? [" · next attempt ", time(each.nextAttemptTime)] : null, each.attempt > 1 ? ` · attempt ${each.attempt}` : null)
			: null,
	);
}

async function cancel(user, { extractionId }) {
	await cancelExtraction(user, extractionId);
	notice("Cancelled: what it would read is skipped", { undo: () => retry(user, [extractionId]) });
}

async function retry(user, extractionIds) {
	const { retriedCount = 0 } = await write("ExtractionService/RetryExtractions", { scope: user.scope, extractionIds });
	const ids = extractionIds.length === 1 ? extractionIds[0] : null;
	notice(`${count(retriedCount, "extraction")} wait${retriedCount === 1 ? "s" : ""} again`, { undo: ids && retriedCount ? () => cancel(user, { extractionId: ids }) : null });
}

async function tidy(user, signal) {
	const { extractionId } = await write("AdminService/ConsolidateMemories", { scope: user.scope });
	watchDialog(user, extractionId, signal);
}

function watchDialog(user, extractionId, signal) {
	const place = h("div");
	const leaving = new AbortController();
	const closed = () => {
		leaving.abort();
		if (route().params.get("x") === extractionId) setParams({ x: null }, { replaces: true });
	};
	openDialog("Learning", place, { closed });
	const until = AbortSignal.any([signal, leaving.signal]);
	follow(user, place, () => watched(user, extractionId, "", until), until);
}

/** Opens the window that learns from runs now, or says what would be learned. */
export function learnDialog(user, runIds, ended) {
	const place = h("div.learning");
	const leaving = new AbortController();
	const learn = async (validateOnly) => {
		for (const button of buttons.children) button.disabled = true;
		const request = { scope: user.scope, runs: { runIds: runIds.slice(-RUNS) }, validateOnly, ...(validateOnly ? {} : { requestId: requestId() }) };
		await follow(user, place, (signal) => stream("ExtractionService/ExtractMemories", request, { signal }), leaving.signal);
		for (const button of buttons.children) button.disabled = false;
		ended();
	};
	const buttons = h("div.actions",
		h("button.primary", { onclick: () => learn(false) }, "Learn now"),
		h("button", { onclick: () => learn(true) }, "Only show what would be learned"));
	openDialog("Learn from this conversation", [h("p", `${count(Math.min(runIds.length, RUNS), "run")} ${runIds.length > RUNS ? "(the last ones) " : ""}will be read, learned from before or not.`), buttons, place], { closed: () => leaving.abort() });
}
