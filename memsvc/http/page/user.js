/** All about one user: what is around the views of it, and what they share. */

import { contextView } from "./context.js";
import { conversationsView } from "./conversations.js";
import { eraseUser } from "./erasing.js";
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

export function userView({ path, signal }) {
	const userId = path[1] ?? "";
	if (!userId) return empty("No user is named");
	const user = { userId, scope: scopeOf(userId), live: new Live(scopeOf(userId), signal) };
	const state = h("span.live.connecting", { role: "status" }, STATES.connecting);
	const tabs = h("nav.tabs", { "aria-label": "About this user" }, TABS.map(([name, shown]) => h("a", { "data-tab": name }, shown)));
	const body = h("div.fill");
	user.live.on((event) => {
		if (event.state) {
			state.className = `live ${event.state}`;
			put(state, STATES[event.state]);
		}
	}, signal);

	let tab = null;
	let leaving = new AbortController();
	signal.addEventListener("abort", () => leaving.abort());

	function show() {
		const { path: now, params } = route();
		if (now[0] !== "user" || now[1] !== userId) return;
		const chosen = TABS.find(([name]) => name === (now[2] ?? "")) ?? TABS[0];
		const place = JSON.stringify(now.slice(2));
		if (place !== tab) {
			tab = place;
			leaving.abort();
			leaving = new AbortController();
			closeMemory();
			for (const link of tabs.children) {
				const name = link.dataset.tab;
				link.href = href(name ? ["user", userId, name] : ["user", userId]);
				if (name === chosen[0]) link.setAttribute("aria-current", "page");
				else link.removeAttribute("aria-current");
			}
			put(body, chosen[2]({ user, path: now.slice(3), params, signal: leaving.signal }));
		}
		const memoryId = params.get("m");
		if (memoryId) openMemory(user, memoryId, signal);
		else closeMemory();
	}

	addEventListener("hashchange", show, { signal });
	show();
	return h("section.view.tall",
		h("div.heading",
			h("h1", { tabindex: "-1" }, said(userId)), state,
			h("span.spring"),
			h("button.quiet.danger-text", { onclick: () => eraseUser(user) }, "Erase user…"),
		),
		tabs,
		body,
	);
}
