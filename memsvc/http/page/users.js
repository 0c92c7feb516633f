/** Who is known in a namespace. */

import { call } from "./api.js";
import { button, form, link, searchInput, submitButton } from "./controls.js";
import { h, put, said } from "./dom.js";
import { count, countMemories, time } from "./format.js";
import { navigate } from "./router.js";
import { namespace } from "./session.js";
import { empty, failure, loading } from "./states.js";
import { Stats } from "./stats.js";
import { VirtualList } from "./virtual.js";

const PAGE = 1000;
const MOST_PAGES = 25;
const MOST_SORTED = 500;

export function usersView({ signal }) {
	const view = new Users(signal);
	view.load();
	return view.element;
}

class Users {
	constructor(signal) {
		this.signal = signal;
		this.ids = [];
		this.shown = [];
		this.token = "";
		this.byTime = false;
		this.stats = new Stats(signal, (userId) => this.list.renew(this.shown.indexOf(userId)));
		this.list = new VirtualList({ label: "Users", rowHeight: 56, row: (index) => this.row(index) });
		this.search = searchInput("Find users by how their name begins", "Name begins with…", { oninput: () => this.narrow() });
		this.order = button("Recently active first", () => this.turn(), null, { "aria-pressed": "false" });
		this.note = h("p.muted", { role: "status" });
		this.body = h("div.fill");
		const open = () => this.search.value && navigate(["user", this.search.value]);
		this.element = h("section.view.tall",
			h("div.heading", h("h1", "Users"), this.note),
			form("toolbar", open, this.search, submitButton("Open", null), this.order),
			this.body,
		);
	}

	async load() {
		put(this.body, loading(6));
		try {
			await this.more();
			await this.narrow();
		} catch (error) {
			if (this.signal.aborted) return;
			this.search.placeholder = "Name of a user";
			const hint = error.code === "permission_denied" && h("p.center.muted", "Type the name of a user, and press Open.");
			put(this.body, failure(error, () => this.load()), hint);
		}
	}

	async more() {
		const request = { namespace: namespace(), pageSize: PAGE, pageToken: this.token };
		const page = await call("Admin/ListUsers", request, this.signal);
		this.ids.push(...(page.userIds ?? []));
		this.token = page.nextPageToken ?? "";
	}

	/** Shows those that begin as was typed; names come in order, so that no more pages are read than it takes. */
	async narrow() {
		const prefix = this.search.value;
		const passed = () => prefix && this.ids.length && this.ids.at(-1) > prefix && !this.ids.at(-1).startsWith(prefix);
		try {
			for (let pages = 0; this.token && pages < MOST_PAGES && (prefix ? !passed() : !this.ids.length); pages++) {
				await this.more();
				if (prefix !== this.search.value) return;
			}
		} catch (error) {
			if (!this.signal.aborted) put(this.body, failure(error, () => this.narrow()));
			return;
		}
		this.show(this.ids.filter((id) => id.startsWith(prefix)));
	}

	show(ids) {
		this.shown = ids;
		const more = this.token !== "";
		put(this.note, `${count(ids.length)}${more ? "+" : ""} ${ids.length === 1 ? "user" : "users"}`);
		if (!ids.length) {
			const asked = this.search.value;
			put(this.body, empty(asked ? "Nobody of that name" : "Nobody is known here yet", asked ? "" : "A user appears with the first memory or conversation."));
			return;
		}
		const further = more && button("More users", () => this.more().then(() => this.narrow()));
		if (!this.body.contains(this.list.element)) put(this.body, this.list.element, further);
		this.list.resize(ids.length, true);
	}

	async turn() {
		this.byTime = !this.byTime;
		this.order.setAttribute("aria-pressed", String(this.byTime));
		if (!this.byTime) return this.narrow();
		this.order.disabled = true;
		// What is read of each user is in its own place: so only so many are asked.
		const asked = this.shown.slice(0, MOST_SORTED);
		await Promise.all(asked.map((id) => this.stats.get(id)));
		this.order.disabled = false;
		if (this.signal.aborted) return undefined;
		const timeOf = (id) => this.stats.known.get(id)?.updateTime ?? "";
		this.show([...asked.toSorted((one, other) => timeOf(other).localeCompare(timeOf(one))), ...this.shown.slice(MOST_SORTED)]);
		return undefined;
	}

	row(index) {
		const userId = this.shown[index];
		const stats = this.stats.known.get(userId);
		if (!stats) this.stats.get(userId);
		const { openExtractionCount: open, failedExtractionCount: failed, memoryCount, runCount, updateTime } = stats ?? {};
		return h("div.row.user",
			link(["user", userId], said(userId), {}, "name"),
			h("span.user-facts",
				failed > 0 && h("span.badge.bad", `${count(failed)} failed`),
				open > 0 && h("span.badge", `${count(open)} learning`),
				h("span.figure", stats && countMemories(memoryCount)),
				h("span.figure.wide-only", stats && count(runCount, "run")),
				h("span.figure.when", updateTime && time(updateTime)),
			),
		);
	}
}

