/** A user's memories: searched or listed, filtered, sorted, thousands of them, with changes as they are committed. */

import { call } from "./api.js";
import { choice } from "./dialogs.js";
import { h, put } from "./dom.js";
import { editMemory } from "./editor.js";
import { clearMemories } from "./clearing.js";
import { filterBar, filterOf, isNarrow } from "./filters.js";
import { count, word } from "./format.js";
import { memoryRow } from "./memory_row.js";
import { Paged } from "./paged.js";
import { route, setParams } from "./router.js";
import { empty, failure, loading } from "./states.js";
import { Selection } from "./selection.js";
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
		this.query = h("input", {
			type: "search", value: params.get("q") ?? "", placeholder: "Search memories…", "aria-label": "Search memories",
			dir: "auto", oninput: () => this.typed(),
		});
		this.method = choice(METHODS.map((name) => [name, name ? word(`SEARCH_METHOD_${name}`) : "Best method"]), params.get("method") ?? "",
			{ "aria-label": "Search method", onchange: (event) => setParams({ method: event.target.value }) });
		this.order = choice(ORDERS, params.get("order") ?? ORDERS[0][0],
			{ "aria-label": "Order", onchange: (event) => setParams({ order: event.target.value }) });
		this.element = h("div.fill.memories",
			h("div.toolbar", { role: "search" },
				this.query, this.method, this.order, h("span.spring"),
				h("button.primary", { onclick: () => editMemory(user) }, "Add memory"),
				h("button", { onclick: () => clearMemories(user, filterOf(route().params)) }, "Clear…"),
			),
			this.bar, this.selection.element, this.note, this.body,
		);
		addEventListener("hashchange", () => this.changed(), { signal });
		user.live.on((event) => this.happened(event), signal);
		this.changed();
	}

	typed() {
		clearTimeout(this.typing);
		this.typing = setTimeout(() => setParams({ q: this.query.value }, { replaces: true }), WAIT);
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
			put(this.bar, filterBar(params, () => this.topics()));
			if (open) this.bar.querySelector("details").open = true;
		}
		this.asked = asked.toString();
		this.params = asked;
		this.method.value = params.get("method") ?? "";
		this.order.value = params.get("order") ?? ORDERS[0][0];
		if (document.activeElement !== this.query) this.query.value = params.get("q") ?? "";
		this.selection.clear();
		this.load();
	}

	async topics() {
		const { topics = [] } = await call("MemoryService/ListTopics", { scope: this.user.scope, pageSize: 200 }, { signal: this.signal });
		return topics;
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
				const isFirst = this.paged !== paged || !this.hasShown;
				this.paged = paged;
				this.hasShown = true;
				this.show(isFirst || paged.items.length <= paged.firstSize);
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
		const order = `MEMORY_ORDER_${this.params.get("order") ?? ORDERS[0][0]}`;
		const request = { scope: this.user.scope, filter, order, pageSize, pageToken };
		const page = await call("MemoryService/ListMemories", request, { signal });
		return { items: page.memories ?? [], token: page.nextPageToken ?? "", total: page.totalSize };
	}

	async found(filter, signal) {
		const method = this.params.get("method");
		const byTime = method === "LAST_N" || method === "FIRST_N";
		const request = {
			scope: this.user.scope, filter, topK: MOST_FOUND, query: byTime ? "" : this.params.get("q"),
			...(method ? { method: `SEARCH_METHOD_${method}` } : {}),
		};
		const reply = await call("MemoryService/SearchMemories", request, { signal });
		const hits = reply.hits ?? [];
		this.scores = byTime ? null : new Map(hits.map((hit) => [hit.memory.memoryId, hit.score ?? 0]));
		this.how = [
			`by ${word(reply.method).toLowerCase()} search`, reply.methodReason,
			reply.pendingVectorCount ? `${count(reply.pendingVectorCount)} have no vector yet` : "",
			byTime && this.params.get("q") ? "this method takes no words" : "",
			reply.usage?.calls ? `${count(reply.usage.inputTokens)} + ${count(reply.usage.outputTokens)} tokens` : "",
		].filter(Boolean).join(" · ");
		return { items: hits.map((hit) => hit.memory), token: "", total: hits.length };
	}

	show(fresh) {
		const { items, total } = this.paged;
		const shown = count(total ?? items.length, "memory", "memories");
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
			const memoryId = (after ?? before).memoryId;
			const index = items.findIndex((each) => each.memoryId === memoryId);
			const hides = after?.superseded && !this.params.get("past");
			if (index >= 0 && (!after || hides)) items.splice(index, 1);
			else if (index >= 0) items[index] = after;
			else if (after && !hides) isOther = true;
			if (former) isOther = isOther || Boolean(this.params.get("past"));
			if (after) this.fresh.add(memoryId);
			if (index >= 0 && (!after || hides)) this.paged.total -= 1;
		}
		const order = this.params.get("order") ?? ORDERS[0][0];
		if (isOther || (order === "UPDATE_TIME_DESC" && !this.searches)) return this.again();
		return this.show(false);
	}

	/** Reads what is at the top anew, a moment later, and takes nothing away before that is there. */
	again() {
		clearTimeout(this.planned);
		this.planned = setTimeout(async () => {
			if (this.signal.aborted) return;
			const filter = filterOf(this.params);
			const { asked, paged } = this;
			try {
				const size = Math.min(1000, Math.max(paged.firstSize, this.list.active + 50));
				const page = this.searches ? await this.found(filter, this.signal) : await this.page(filter, "", size, this.signal);
				if (asked !== this.asked || paged !== this.paged) return;
				Object.assign(paged, { items: page.items, token: page.token, isWhole: !page.token, total: page.token ? page.total : page.items.length });
				this.show(false);
			} catch {
				// What is shown stays; the connection says of itself that it is broken.
			}
		}, WAIT);
	}
}
