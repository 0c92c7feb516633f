/** All about one user: what is around the views of it, and what they share. */

import { call, stream, write } from "./api.js";
import { eraseUser } from "./clearing.js";
import { contextView } from "./context.js";
import { button, markHere } from "./controls.js";
import { conversationsView } from "./conversations.js";
import { h, put, said } from "./dom.js";
import { historyView } from "./history.js";
import { learningView } from "./learning.js";
import { Live } from "./live.js";
import { memoriesView } from "./memories.js";
import { closeMemory, openMemory } from "./memory.js";
import { overviewView } from "./overview.js";
import { href, route } from "./router.js";
import { scopeOf } from "./session.js";
import { empty } from "./states.js";

const TABS = [
	["", "Overview", overviewView],
	["memories", "Memories", memoriesView],
	["changes", "Changes", historyView],
	["conversations", "Conversations", conversationsView],
	["learning", "Learning", learningView],
	["context", "Context", contextView],
];
const STATES = { live: "Live", connecting: "Connecting", broken: "Reconnecting", off: "Not live" };

/** A user as the views have it: they call the API in its scope, see its changes as they come, and lead to its places. */
class User {
	constructor(userId, signal) {
		this.userId = userId;
		this.scope = scopeOf(userId);
		this.live = new Live(this, signal);
	}

	call(method, request, signal) {
		return call(method, { scope: this.scope, ...request }, signal);
	}

	write(method, request) {
		return write(method, { scope: this.scope, ...request });
	}

	stream(method, request, signal) {
		return stream(method, { scope: this.scope, ...request }, signal);
	}

	place(...segments) {
		return ["user", this.userId, ...segments];
	}
}

export function userView({ path, signal }) {
	const userId = path[1] ?? "";
	if (!userId) return empty("No user is named");
	const user = new User(userId, signal);
	const state = h("span.live", { role: "status" }, STATES.connecting);
	const tabs = h("nav.tabs", { "aria-label": "About this user" }, TABS.map(([name, shown]) => h("a", { "data-tab": name }, shown)));
	const body = h("div.fill");
	user.live.on((event) => {
		if (!event.state) return;
		state.dataset.state = event.state;
		put(state, STATES[event.state]);
	}, signal);

	let tab = null;
	let leaving = new AbortController();
	signal.addEventListener("abort", () => leaving.abort());

	function show() {
		const { path: now, params } = route();
		if (now[0] !== "user" || now[1] !== userId) return;
		const [chosen, , view] = TABS.find(([name]) => name === (now[2] ?? "")) ?? TABS[0];
		const place = JSON.stringify(now.slice(2));
		if (place !== tab) {
			tab = place;
			leaving.abort();
			leaving = new AbortController();
			closeMemory();
			for (const link of tabs.children) link.href = href(user.place(...[link.dataset.tab].filter(Boolean)));
			markHere(tabs.children, (link) => link.dataset.tab === chosen);
			queueMicrotask(() => tabs.querySelector("[aria-current]").scrollIntoView({ block: "nearest", inline: "nearest" }));
			put(body, view({ user, path: now.slice(3), params, signal: leaving.signal }));
		}
		const memoryId = params.get("m");
		if (memoryId) openMemory(user, memoryId, signal);
		else closeMemory();
	}

	addEventListener("hashchange", show, { signal });
	show();
	return h("section.view.tall",
		h("div.heading",
			h("h1", said(userId)), state,
			h("span.spring"),
			button("Erase…", () => eraseUser(user), "quiet danger-text"),
		),
		tabs,
		body,
	);
}
