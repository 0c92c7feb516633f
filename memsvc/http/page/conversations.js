/** A user's conversations: which there are, what was said in any of them, and one of them whole. */

import { call } from "./api.js";
import { conversationView } from "./conversation.js";
import { h, said } from "./dom.js";
import { count, time } from "./format.js";
import { messageBlock } from "./message.js";
import { attempt } from "./notices.js";
import { href } from "./router.js";
import { empty, fill } from "./states.js";

const PAGE = 100;
const MOST_FOUND = 20;

export function conversationsView(place) {
	return place.path[0] ? conversationView(place) : listView(place);
}

function listView({ user, signal }) {
	const body = h("div");
	const query = h("input", { type: "search", placeholder: "What was said…", "aria-label": "Search all conversations", dir: "auto", name: "q" });
	const search = (event) => {
		event.preventDefault();
		fill(body, () => (query.value.trim() ? found(user, query.value, signal) : sessions(user, signal)), { signal });
	};
	fill(body, () => sessions(user, signal), { signal });
	return h("div.fill",
		h("form.toolbar", { role: "search", onsubmit: search }, query, h("button", { type: "submit" }, "Search")),
		h("div.scroll", body),
	);
}

async function sessions(user, signal) {
	const list = h("ul.panel.list");
	const more = h("button", { onclick: () => attempt(load) }, "More");
	let token = "";
	async function load() {
		const page = await call("SessionService/ListSessions", { scope: user.scope, pageSize: PAGE, pageToken: token }, { signal });
		token = page.nextPageToken ?? "";
		list.append(...(page.sessions ?? []).map((session) => sessionLine(user, session)));
		more.hidden = !token;
	}
	await load();
	if (!list.children.length) return empty("No conversations yet", "They appear as soon as an agent stores one.");
	return [list, more];
}

function sessionLine(user, session) {
	return h(
		"li",
		null,
		h("a", { href: href(["user", user.userId, "conversations", session.sessionId]) }, said(session.sessionId)),
		h("span.spring"),
		session.agentId ? said(session.agentId, "span.chip") : null,
		h("span.muted", `${count(session.runCount, "run")}, ${count(session.messageCount, "message")} · `, time(session.updateTime)),
	);
}

async function found(user, query, signal) {
	const request = { scope: user.scope, query, topK: MOST_FOUND, besideCount: 1 };
	const { passages = [] } = await call("SessionService/SearchHistory", request, { signal });
	if (!passages.length) return empty("Nobody said that", "Try other words.");
	return h("ul.panel.list", passages.map((passage) => h("li.passage",
		h("p.meta",
			h("a", { href: href(["user", user.userId, "conversations", passage.sessionId], { run: passage.runId }) }, said(passage.sessionId)),
			h("span.muted", `score ${(passage.score ?? 0).toFixed(2)}`)),
		(passage.before ?? []).map((each) => h("div.beside", messageBlock(each))),
		messageBlock(passage.message),
		(passage.after ?? []).map((each) => h("div.beside", messageBlock(each))),
	)));
}

