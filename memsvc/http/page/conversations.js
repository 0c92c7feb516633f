/** A user's conversations: which there are, what was said in any of them, and one of them whole. */

import { conversationView } from "./conversation.js";
import { button, form, link, searchInput, submitButton } from "./controls.js";
import { h, said } from "./dom.js";
import { count, time } from "./format.js";
import { messageBlock } from "./message.js";
import { empty, fill } from "./states.js";

const PAGE = 100;
const MOST_FOUND = 20;

export function conversationsView(place) {
	return place.path[0] ? conversationView(place) : listView(place);
}

function listView({ user, signal }) {
	const body = h("div");
	const query = searchInput("Search all conversations", "What was said…");
	const show = () => fill(body, () => (query.value.trim() ? found(user, query.value, signal) : sessions(user, signal)), signal);
	show();
	return h("div.fill", form("toolbar", show, query, submitButton("Search", null)), h("div.scroll", body));
}

async function sessions(user, signal) {
	const list = h("ul.panel.list");
	const more = button("More", load);
	let pageToken = "";
	async function load() {
		const page = await user.call("Session/ListSessions", { pageSize: PAGE, pageToken }, signal);
		pageToken = page.nextPageToken ?? "";
		list.append(...(page.sessions ?? []).map((session) => sessionLine(user, session)));
		more.hidden = !pageToken;
	}
	await load();
	if (!list.children.length) return empty("No conversations yet", "They appear as soon as an agent stores one.");
	return [list, more];
}

function sessionLine(user, { sessionId, agentId, runCount, messageCount, updateTime }) {
	return h("li",
		link(user.place("conversations", sessionId), said(sessionId)),
		h("span.spring"),
		agentId && said(agentId, "span.chip"),
		h("span.muted", `${count(runCount, "run")}, ${count(messageCount, "message")} · `, time(updateTime)),
	);
}

async function found(user, query, signal) {
	const request = { query, topK: MOST_FOUND, besideCount: 1 };
	const { passages = [] } = await user.call("Session/SearchHistory", request, signal);
	if (!passages.length) return empty("Nobody said that", "Try other words.");
	const beside = (messages = []) => messages.map((each) => h("div.beside", messageBlock(each)));
	return h("ul.panel.list", passages.map(({ sessionId, runId, score = 0, before, message, after }) => h("li.passage",
		h("p.meta",
			link(user.place("conversations", sessionId), said(sessionId), { run: runId }),
			h("span.muted", `score ${score.toFixed(2)}`)),
		beside(before),
		messageBlock(message),
		beside(after),
	)));
}
