/** Many memories, ticked, and what can be done with them at once. */

import { addTopic, askToPurge, deleteMemories } from "./actions.js";
import { field, openForm } from "./dialogs.js";
import { h, put } from "./dom.js";
import { count } from "./format.js";
import { attempt } from "./notices.js";

export class Selection {
	/** `changed()` is called when others are chosen. */
	constructor(user, changed) {
		this.user = user;
		this.changed = changed;
		this.chosen = new Map();
		this.words = h("span", { role: "status" });
		this.element = h("div.selection", { hidden: true, role: "group", "aria-label": "With those selected" },
			this.words,
			h("button", { onclick: () => this.act(() => deleteMemories(user, this.ids)) }, "Delete"),
			h("button", { onclick: () => this.topic() }, "Add a topic…"),
			h("button.danger-text", { onclick: () => askToPurge(user, this.ids, () => this.clear()) }, "Purge…"),
			h("button.quiet", { onclick: () => this.all?.() }, "Select all loaded"),
			h("button.quiet", { onclick: () => this.clear() }, "Select none"),
		);
	}

	get ids() {
		return [...this.chosen.keys()];
	}

	has(memoryId) {
		return this.chosen.has(memoryId);
	}

	/** Chooses an item or lets go of it; with Shift all between it and the one before. */
	toggle(items, index, isRange) {
		const memory = items[index];
		const on = !this.chosen.has(memory.memoryId);
		const from = isRange && this.anchor !== undefined ? Math.min(this.anchor, index) : index;
		const to = isRange && this.anchor !== undefined ? Math.max(this.anchor, index) : index;
		for (const each of items.slice(from, to + 1)) {
			if (on) this.chosen.set(each.memoryId, each);
			else this.chosen.delete(each.memoryId);
		}
		this.anchor = index;
		this.all = () => {
			for (const each of items) this.chosen.set(each.memoryId, each);
			this.show();
		};
		this.show();
	}

	clear() {
		this.chosen.clear();
		this.anchor = undefined;
		this.show();
	}

	show() {
		this.element.hidden = this.chosen.size === 0;
		put(this.words, `${count(this.chosen.size)} selected`);
		this.changed();
	}

	async act(action) {
		await attempt(async () => {
			await action();
			this.clear();
		});
	}

	topic() {
		const name = h("input", { dir: "auto", autofocus: true, required: true });
		openForm("Add a topic", field("Topic", name), {
			action: "Add",
			submit: async () => {
				await addTopic(this.user, [...this.chosen.values()], name.value.trim());
				this.clear();
			},
		});
	}
}
