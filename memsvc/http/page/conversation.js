/** One conversation: its runs and messages, what each taught, and how far learning from it has come. */

import { revert } from "./actions.js";
import { button, isTicked, link, tick } from "./controls.js";
import { openForm } from "./dialogs.js";
import { h, put, said } from "./dom.js";
import { count, countMemories, time, word } from "./format.js";
import { learnDialog } from "./learning.js";
import { memoryLine } from "./memory_row.js";
import { messageBlock } from "./message.js";
import { notice } from "./notices.js";
import { navigate, route } from "./router.js";
import { empty, failure, loading, putFolded } from "./states.js";

const PAGE = 50;
const MOST_PAGES = 40;

export function conversationView({ user, path, params, signal }) {
	const sessionId = path[0];
	const view = { user, sessionId, signal, runs: [], token: "", taught: new Map(), wanted: params.get("run") };
	view.body = h("div", loading(6));
	view.summary = h("div");
	view.learn = button("Learn now…", () => learnDialog(user, view.runs.map((run) => run.runId), () => load(view)), "primary");
	// Until it is known what there is to learn from.
	view.learn.disabled = true;
	user.live.afterChanges(() => load(view), signal);
	load(view, true);
	return h("div.fill",
		h("div.toolbar",
			link(user.place("conversations"), "All conversations"),
			said(sessionId, "h2"), h("span.spring"),
			view.learn,
			button("Summarize", () => summarize(view)),
			button("↻", () => load(view), "icon", { "aria-label": "Refresh", title: "Refresh" }),
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
			user.call("Memory/ListMemories", { filter: { sessionIds: [sessionId], includeSuperseded: true }, pageSize: 1000 }, signal),
			user.call("Session/GetHistory", { sessionId, lastRuns: 1 }, signal),
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
	const request = { sessionId: view.sessionId, includeReplaced: true, pageSize: PAGE, pageToken: view.token };
	const { runs = [], nextPageToken = "" } = await view.user.call("Session/ListRuns", request, view.signal);
	view.runs.push(...runs);
	view.token = nextPageToken;
}

function show(view) {
	view.learn.disabled = !view.runs.length;
	if (!view.runs.length) return void put(view.body, empty("There is nothing in this conversation"));
	const more = view.token && button("More runs", async () => (await page(view), show(view)));
	putFolded(view.body, [h("ol.runs", view.runs.map((run) => runBlock(view, run))), more]);
}

function runBlock(view, run) {
	const taught = view.taught.get(run.runId) ?? [];
	const state = run.learning === "LEARNING_STATE_OFF" ? "Not to be learned" : word(run.learning);
	return h("li", { class: `panel run${view.wanted === run.runId ? " wanted" : ""}`, id: `run-${run.runId}` },
		h("div.meta",
			h("strong", `Run ${run.index}`), time(run.createTime, true),
			run.agentId && said(run.agentId, "span.chip"),
			run.replaced && h("span.chip", "Replaced"),
			h("span.spring"),
			run.extractionId
				? link(view.user.place("learning"), state, { x: run.extractionId }, `badge ${run.learning}`)
				: h("span.chip", state),
		),
		(run.messages ?? []).map(messageBlock),
		taught.length > 0 && h("div.taught", h("h3", `Taught ${countMemories(taught.length)}`), h("ul.lines", taught.map((memory) => h("li", memoryLine(memory))))),
	);
}

function showSummary(view, { coveredThrough, extractive, model, updateTime, text }) {
	const made = extractive ? "sentences as they were said" : said(model || "a model");
	put(view.summary, h("details.panel",
		h("summary", h("strong", "Summary"), h("span.muted", ` through run ${coveredThrough}, `, made, " · ", time(updateTime))),
		said(text, "p"),
	));
}

async function summarize(view) {
	const { summary } = await view.user.write("Session/SummarizeSession", { sessionId: view.sessionId, waitForSummary: "4s" });
	if (summary) showSummary(view, summary);
	notice(summary ? "The summary covers what was said" : "The summary is being made");
}

function remove({ user, sessionId }) {
	const forget = tick("Also delete the memories that were learned from it", false);
	const purge = tick("And blank them in the history", false);
	openForm(
		"Delete this conversation?",
		[h("p", "Its runs and messages go, and do not come back."), forget, purge],
		{
			action: "Delete",
			danger: true,
			submit: async () => {
				const blanks = isTicked(purge);
				const gone = await user.write("Session/DeleteSession", { sessionId, forgetLearned: isTicked(forget) || blanks, purge: blanks, allowMissing: true });
				const forgotten = Number(gone.forgottenMemoryCount ?? 0);
				const words = `Deleted ${count(gone.deletedRunCount, "run")}${forgotten ? ` and ${countMemories(forgotten)}` : ""}`;
				// What was forgotten can come back; what was said cannot.
				if (forgotten && !blanks) notice(`${words}: undo brings the memories back`, () => revert(user, gone.revision));
				else notice(words);
				if (route().path[3] === sessionId) navigate(user.place("conversations"));
			},
		},
	);
}
