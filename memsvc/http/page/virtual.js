/** A list of any length: only the rows that are seen are in the page. */

import { h } from "./dom.js";

const BEYOND = 6;

export class VirtualList {
	/**
	 * `row(index)` makes a row; `need(first, last)` is told which are seen. Rows have `rowHeight` pixels each. Arrow keys
	 * move between rows: a row's first link or button is what they go to.
	 */
	constructor({ label, rowHeight, row, need = () => {} }) {
		this.rowHeight = rowHeight;
		this.row = row;
		this.need = need;
		this.length = 0;
		this.active = 0;
		this.rows = new Map();
		this.space = h("div.rows", { role: "list", "aria-label": label });
		this.element = h("div.scroller", { onscroll: () => this.plan(), onkeydown: (event) => this.key(event), onfocusin: (event) => this.focused(event) },
			this.space,
		);
		new ResizeObserver(() => this.plan()).observe(this.element);
	}

	/** Tells how many rows there are; those that are shown are made anew where `fresh`. */
	resize(length, fresh = false) {
		this.length = length;
		this.space.style.height = `${length * this.rowHeight}px`;
		if (fresh) this.refresh();
		else this.plan();
	}

	/** Makes all rows that are seen anew; the one that has the focus keeps it. */
	refresh() {
		const focused = this.space.contains(document.activeElement) ? this.active : null;
		for (const element of this.rows.values()) element.remove();
		this.rows.clear();
		this.draw();
		if (focused !== null) this.focus(Math.min(focused, this.length - 1));
	}

	/** Makes one row anew, if it is seen. */
	renew(index) {
		const old = this.rows.get(index);
		if (!old) return;
		const had = old.contains(document.activeElement);
		const made = this.made(index);
		old.replaceWith(made);
		this.rows.set(index, made);
		if (had) this.focus(index);
	}

	toTop() {
		this.element.scrollTop = 0;
		this.active = 0;
	}

	plan() {
		if (this.planned) return;
		this.planned = true;
		requestAnimationFrame(() => {
			this.planned = false;
			this.draw();
		});
	}

	draw() {
		const top = this.element.scrollTop;
		const first = Math.max(0, Math.floor(top / this.rowHeight) - BEYOND);
		const seen = Math.ceil(this.element.clientHeight / this.rowHeight);
		const last = Math.min(this.length - 1, Math.floor(top / this.rowHeight) + seen + BEYOND);
		for (const [index, element] of this.rows) {
			const isFar = (index < first || index > last) && !element.contains(document.activeElement);
			if (!isFar && index < this.length) continue;
			element.remove();
			this.rows.delete(index);
		}
		for (let index = first; index <= last; index++) {
			if (!this.rows.has(index)) this.insert(index);
		}
		if (last >= first) this.need(first, last);
	}

	insert(index) {
		const element = this.made(index);
		const after = [...this.rows.keys()].filter((at) => at > index);
		this.space.insertBefore(element, this.rows.get(Math.min(...after)) ?? null);
		this.rows.set(index, element);
	}

	made(index) {
		const element = this.row(index);
		element.setAttribute("role", "listitem");
		element.setAttribute("aria-setsize", this.length);
		element.setAttribute("aria-posinset", index + 1);
		element.style.transform = `translateY(${index * this.rowHeight}px)`;
		element.style.height = `${this.rowHeight}px`;
		this.reach(element, index);
		return element;
	}

	/** Only the row where the reader is can be reached by Tab. */
	reach(element, index) {
		for (const each of element.querySelectorAll("a, button, input")) each.tabIndex = index === this.active ? 0 : -1;
	}

	activate(index) {
		const was = this.active;
		this.active = index;
		for (const each of [was, index]) if (this.rows.has(each)) this.reach(this.rows.get(each), each);
	}

	focused(event) {
		for (const [index, element] of this.rows) if (element.contains(event.target)) this.activate(index);
	}

	key(event) {
		const page = Math.max(1, Math.floor(this.element.clientHeight / this.rowHeight) - 1);
		const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -this.length, End: this.length };
		const step = steps[event.key];
		if (!step || event.altKey || event.ctrlKey || event.metaKey) return;
		event.preventDefault();
		this.focus(Math.max(0, Math.min(this.length - 1, this.active + step)));
	}

	focus(index) {
		if (index < 0) return;
		const top = index * this.rowHeight;
		const view = this.element;
		view.scrollTop = Math.min(top, Math.max(view.scrollTop, top + this.rowHeight - view.clientHeight));
		this.activate(index);
		this.draw();
		const element = this.rows.get(index);
		if (!element) return;
		this.reach(element, index);
		(element.querySelector("a") ?? element.querySelector("button, input"))?.focus({ preventScroll: true });
	}
}
