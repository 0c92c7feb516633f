/** One conversation: its runs and messages, what each taught, and how far learning from it has come. */

import { call, write } from "./api.js";
import { revert } from "./actions.js";
import { openForm, tick } from "./dialogs.js";
import { h, put, said } from "./dom.js";
import { count, time, word } from "./format.js";
import { learnDialog } from "./learning.js";
import { memoryLine } from "./memory_row.js";
import { messageBlock } from "./message.js";
import { attempt, notice } from "./notices.js";
import { href, navigate, route } from "./router.js";
import { empty, failure, loading } from "./states.js";

const PAGE = 50;
const MOST_PAGES = 40;
const AFTER = 300;

export function conversationView({ user, path, params, signal }) {
	const sessionId = path[0];
	const view = { user, sessionId, signal, runs: [], token: "", taught: new Map(), wanted: params.get("run") };
	view.body = h("div", loading(6));
	view.summary = h("div");
	const button = (label, action, kind = "") => h("button", { class: kind, onclick: action }, label);
	view.learn = button("Learn now…", () => learnDialog(user, view.runs.map((run) => run.runId), () => load(view)), "primary");
	// Until it is known what there is to learn from.
	view.learn.disabled = true;
	let planned = 0;
	user.live.on(({ commit, missed }) => {
		if (!commit && !missed) return;
		clearTimeout(planned);
		planned = setTimeout(() => load(view), AFTER);
	}, signal);
	load(view, true);
	return h("div.fill",
		h("div.toolbar",
			h("a", { href: href(["user", user.userId, "conversations"]) }, "All conversations"),
			said(sessionId, "h2"), h("span.spring"),
			view.learn,
			button("Summarize", () => attempt(() => summarize(view))),
			button("Refresh", () => load(view)),
			button("Delete…", () => remove(view), "danger-text"),
		),
		h("div.scroll", view.summary, view.body),
	);
}

async function load(view, isFirst = false) {
	const { user, sessionId, signal } = view;
	const before = view.runs.length;
	try {
		const [taught, history] = await Promise.all([
			call("MemoryService/ListMemories", { scope: user.scope, filter: { sessionIds: [sessionId], includeSuperseded: true }, pageSize: 1000 }, { signal }),
			call("SessionService/GetHistory", { scope: user.scope, sessionId, lastRuns: 1 }, { signal }),
		]);
		view.taught = Map.groupBy(taught.memories ?? [], (memory) => memory.origin?.runId ?? "");
		view.runs = [];
		view.token = "";
		const isFound = () => !view.wanted || view.runs.some((run) => run.runId === view.wanted);
		for (let pages = 0; pages === 0 || (view.token && pages < MOST_PAGES && (view.runs.length < before || (isFirst && !isFound()))); pages++) {
			await page(view);
		}
		if (history.summary) showSummary(view, history.summary);
	} catch (error) {
		if (!signal.aborted) put(view.body, failure(error, () => load(view, isFirst)));
		return;
	}
	if (signal.aborted) return;
	show(view);
	if (isFirst && view.wanted) document.getElementById(`run-${view.wanted}`)?.scrollIntoView({ block: "start" });
}

async function page(view) {
	const request = { scope: view.user.scope, sessionId: view.sessionId, includeReplaced: true, pageSize: PAGE, pageToken: view.token };
	const { runs = [], nextPageToken = "" } = await call("SessionService/ListRuns", request, { signal: view.signal });
	view.runs.push(...runs);
	view.token = nextPageToken;
}

function show(view) {
	view.learn.disabled = !view.runs.length;
	if (!view.runs.length) return void put(view.body, empty("There is nothing in this conversation"));
	const more = view.token && h("button", { onclick: () => attempt(async () => (await page(view), show(view))) }, "More runs");
	const folded = [...view.body.querySelectorAll("details")].map((each) => each.open);
	put(view.body, h("ol.runs", view.runs.map((run) => runBlock(view, run))), more);
	view.body.querySelectorAll("details").forEach((each, at) => (each.open = folded[at] ?? false));
}

function runBlock(view, run) {
	const taught = view.taught.get(run.runId) ?? [];
	const isWanted = view.wanted === run.runId;
	return h(
		"li",
		{ class: `panel run${isWanted ? " wanted" : ""}`, id: `run-${run.runId}` },
		h("div.meta",
			h("strong", `Run ${run.index}`), time(run.createTime, { exact: true }),
			run.agentId ? said(run.agentId, "span.chip") : null,
			run.replaced ? h("span.chip", "Replaced") : null,
			h("span.spring"),
			run.extractionId
				? h("a", { class: `badge ${run.learning}`, href: href(["user", view.user.userId, "learning"], { x: run.extractionId }) }, stateOf(run))
				: h("span.chip", stateOf(run)),
		),
		(run.messages ?? []).map(messageBlock),
		taught.length
			? h("div.taught", h("h3", `Taught ${count(taught.length, "memory", "memories")}`), h("ul.lines", taught.map((memory) => h("li", memoryLine(memory)))))
			: null,
	);
}

function stateOf({ learning }) {
	return learning === "LEARNING_STATE_OFF" ? "Not to be learned" : word(learning);
}

function showSummary(view, summary) {
	put(view.summary, h("details.panel",
		h("summary", h("strong", "Summary"), h("span.muted", ` through run ${summary.coveredThrough}, ${summary.extractive ? "sentences as they were said" : said(summary.model || "a model").textContent} · `, time(summary.updateTime))),
		said(summary.text, "p"),
	));
}

async function summarize(view) {
	const reply = await write("SessionService/SummarizeSession", { scope: view.user.scope, sessionId: view.sessionId, waitForSummary: "4s" });
	if (reply.summary) showSummary(view, reply.summary);
	notice(reply.summary ? "The summary covers what was said" : "The summary is being made");
}

function remove(view) {
	const { user, sessionId } = view;
	const forget = tick("Also delete the memories that were learned from it", false);
	const purge = tick("And blank them in the history", false);
	openForm(
		"Delete this conversation?",
		[h("p", "Its runs and messages go, and do not come back."), forget, purge],
		{
			action: "Delete",
			danger: true,
			submit: async () => {
				const [forgetLearned, blanks] = [forget, purge].map((each) => each.querySelector("input").checked);
				const gone = await write("SessionService/DeleteSession", { scope: user.scope, sessionId, forgetLearned: forgetLearned || blanks, purge: blanks, allowMissing: true });
				const forgotten = Number(gone.forgottenMemoryCount ?? 0);
				const words = `Deleted ${count(gone.deletedRunCount, "run")}${forgotten ? ` and ${count(forgotten, "memory", "memories")}` : ""}`;
				// What was forgotten can come back; what was said cannot.
				const undo = forgotten && !blanks ? () => revert(user, gone.revision) : null;
				notice(undo ? `${words}: undo brings the memories back` : words, { undo });
				if (route().path[3] === sessionId) navigate(["user", user.userId, "conversations"]);
			},
		},
	);
}

