/** A user's memories: searched or listed, filtered, sorted, thousands of them, with changes as they are committed. */

import { button, choice, searchInput } from "./controls.js";
import { h, put } from "./dom.js";
import { editMemory } from "./editor.js";
import { clearMemories } from "./clearing.js";
import { filterBar, filterOf, isNarrow } from "./filters.js";
import { count, countMemories, tokensOf, word } from "./format.js";
import { memoryRow } from "./memory_row.js";
import { Paged } from "./paged.js";
import { route, setParams } from "./router.js";
import { empty, failure, loading } from "./states.js";
import { Selection } from "./selection.js";
import { soon } from "./timing.js";
import { VirtualList } from "./virtual.js";

const ORDERS = [
	["UPDATE_TIME_DESC", "Last changed first"], ["UPDATE_TIME_ASC", "Last changed last"],
	["CREATE_TIME_DESC", "Newest first"], ["CREATE_TIME_ASC", "Oldest first"],
	["OBSERVE_TIME_DESC", "Last said first"], ["OBSERVE_TIME_ASC", "First said first"], ["KEY", "By key"],
];
const METHODS = ["", "LEXICAL", "SEMANTIC", "HYBRID", "AGENTIC", "LAST_N", "FIRST_N"];
const MOST_FOUND = 100;
const WAIT = 250;

export function memoriesView(place) {
	return new Memories(place).element;
}

class Memories {
	constructor({ user, params, signal }) {
		Object.assign(this, { user, signal });
		this.bar = h("div");
		this.note = h("p.note.muted", { role: "status" });
		this.body = h("div.fill");
		this.fresh = new Set();
		this.list = new VirtualList({
			label: "Memories", rowHeight: 74, row: (index) => this.row(index),
			need: (_, last) => this.paged?.ensure(last + 20),
		});
		this.selection = new Selection(user, () => this.selected());
		this.query = searchInput("Search memories", "Search memories…", {
			value: params.get("q") ?? "", oninput: soon(() => setParams({ q: this.query.value }, { replaces: true }), WAIT, signal, true),
		});
		this.again = soon(() => this.refresh(), WAIT, signal);
		const chosen = (name, label, options) =>
			choice(options, "", { "aria-label": label, onchange: (event) => setParams({ [name]: event.target.value }) });
		this.method = chosen("method", "Search method", METHODS.map((name) => [name, word(name) || "Best method"]));
		this.order = chosen("order", "Order", ORDERS);
		this.element = h("div.fill.memories",
			h("div.toolbar", { role: "search" },
				this.query, this.method, this.order, h("span.spring"),
				button("Add memory", () => editMemory(user), "primary"),
				button("Clear…", () => clearMemories(user, filterOf(route().params))),
			),
			this.bar, this.selection.element, this.note, this.body,
		);
		addEventListener("hashchange", () => this.changed(), { signal });
		user.live.on((event) => this.happened(event), signal);
		this.changed();
	}

	/** The address changed: all but which memory is open is this view's. */
	changed() {
		const { params } = route();
		const asked = new URLSearchParams(params);
		asked.delete("m");
		if (this.asked === asked.toString()) return;
		const filters = JSON.stringify(filterOf(params));
		if (this.filters !== filters) {
			this.filters = filters;
			const open = this.bar.querySelector("details")?.open;
			put(this.bar, filterBar(params, () => this.user.call("Memory/ListTopics", { pageSize: 200 }, this.signal)));
			if (open) this.bar.querySelector("details").open = true;
		}
		this.asked = asked.toString();
		this.params = asked;
		this.method.value = params.get("method") ?? "";
		this.order.value = this.orderName;
		if (document.activeElement !== this.query) this.query.value = params.get("q") ?? "";
		this.selection.clear();
		this.load();
	}

	get orderName() {
		return this.params.get("order") ?? ORDERS[0][0];
	}

	get searches() {
		return Boolean(this.params.get("q")) || ["LAST_N", "FIRST_N"].includes(this.params.get("method"));
	}

	load() {
		this.leaving?.abort();
		this.leaving = new AbortController();
		const signal = AbortSignal.any([this.signal, this.leaving.signal]);
		this.fresh.clear();
		this.scores = null;
		const hadRows = this.body.contains(this.list.element);
		if (!hadRows) put(this.body, loading(8));
		this.order.hidden = this.searches;
		this.method.hidden = !this.searches && !this.query.value;
		const before = this.paged;
		const filter = filterOf(this.params);
		const paged = new Paged({
			signal,
			page: this.searches ? () => this.found(filter, signal) : (token, size) => this.page(filter, token, size, signal),
			changed: () => {
				const isFirst = !this.hasShown;
				this.paged = paged;
				this.hasShown = true;
				this.show(isFirst);
			},
			failed: (error) => {
				if (error.code !== "canceled") put(this.body, failure(error, () => this.load()));
			},
		});
		this.hasShown = false;
		if (!before || !hadRows) this.paged = paged;
		paged.ensure(0);
	}

	async page(filter, pageToken, pageSize, signal) {
		const order = `MEMORY_ORDER_${this.orderName}`;
		const page = await this.user.call("Memory/ListMemories", { filter, order, pageSize, pageToken }, signal);
		return { items: page.memories ?? [], token: page.nextPageToken ?? "", total: page.totalSize };
	}

	async found(filter, signal) {
		const method = this.params.get("method");
		const byTime = method === "LAST_N" || method === "FIRST_N";
		const request = {
			filter, topK: MOST_FOUND, query: byTime ? "" : this.params.get("q"),
			...(method ? { method: `SEARCH_METHOD_${method}` } : {}),
		};
		const reply = await this.user.call("Memory/SearchMemories", request, signal);
		const hits = reply.hits ?? [];
		this.scores = byTime ? null : new Map(hits.map((hit) => [hit.memory.memoryId, hit.score ?? 0]));
		this.how = [
			`by ${word(reply.method).toLowerCase()} search`, reply.methodReason,
			reply.pendingVectorCount ? `${count(reply.pendingVectorCount)} have no vector yet` : "",
			byTime && this.params.get("q") ? "this method takes no words" : "",
			tokensOf(reply.usage),
		].filter(Boolean).join(" · ");
		return { items: hits.map((hit) => hit.memory), token: "", total: hits.length };
	}

	show(fresh) {
		const { items, total } = this.paged;
		const shown = countMemories(total ?? items.length);
		put(this.note, this.searches ? `${shown} found ${this.how}` : shown);
		if (!items.length) {
			const narrow = this.searches || isNarrow(filterOf(this.params));
			put(this.body, narrow ? empty("Nothing fits", "Try other words, or fewer filters.") : empty("Nothing is remembered yet", "Add a memory, or let memsvc learn from a conversation."));
			return;
		}
		if (!this.body.contains(this.list.element)) put(this.body, this.list.element);
		if (fresh) this.list.toTop();
		this.list.resize(total ?? items.length, true);
	}

	row(index) {
		const memory = this.paged.items[index];
		if (!memory) return h("div.row", h("div.skeleton", { "aria-label": "Loading" }));
		return memoryRow(memory, {
			score: this.scores?.get(memory.memoryId) ?? (this.scores ? 0 : null),
			isChosen: this.selection.has(memory.memoryId),
			isNew: this.fresh.has(memory.memoryId),
			toggle: (event) => this.selection.toggle(this.paged.items, index, event.shiftKey),
		});
	}

	selected() {
		for (const index of this.list.rows.keys()) {
			const box = this.list.rows.get(index).querySelector("input");
			const memory = this.paged.items[index];
			if (box && memory) box.checked = this.selection.has(memory.memoryId);
		}
	}

	/** Something was committed: what is shown becomes what is so now, and stays where it is. */
	happened({ commit, missed, erased }) {
		if (missed || erased) return this.load();
		if (!commit || !this.paged) return undefined;
		const { items } = this.paged;
		let isOther = false;
		for (const { after, before, former } of commit.changes ?? []) {
			const { memoryId } = after ?? before;
			const index = items.findIndex((each) => each.memoryId === memoryId);
			const past = this.params.get("past");
			const isShown = after && (past || !after.superseded);
			if (index < 0 ? isShown : former && past) isOther = true;
			if (isShown) this.fresh.add(memoryId);
			if (index < 0) continue;
			if (isShown) items[index] = after;
			else {
				items.splice(index, 1);
				this.paged.total -= 1;
			}
		}
		if (isOther || (this.orderName === "UPDATE_TIME_DESC" && !this.searches)) return this.again();
		return this.show(false);
	}

	/** Reads anew as far as somebody looks, and takes nothing away before that is there. */
	async refresh() {
		const filter = filterOf(this.params);
		const { asked, paged } = this;
		const seen = Math.max(paged.firstSize, ...this.list.rows.keys());
		const items = [];
		let [token, total] = ["", 0];
		try {
			do {
				const page = await (this.searches ? this.found(filter, this.signal) : this.page(filter, token, Math.min(seen + 50, 1000), this.signal));
				if (asked !== this.asked || paged !== this.paged) return;
				items.push(...page.items);
				({ token, total } = page);
			} while (token && items.length <= seen);
			Object.assign(paged, { items, token, isWhole: !token, total: token ? total : items.length });
			this.show(false);
		} catch {
			// What is shown stays; the connection says of itself that it is broken.
		}
	}
}
