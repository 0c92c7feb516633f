/** Many memories, ticked, and what can be done with them at once. */

import { addTopic, askToPurge, deleteMemories } from "./actions.js";
import { button, field, input } from "./controls.js";
import { openForm } from "./dialogs.js";
import { h, put } from "./dom.js";
import { count } from "./format.js";

export class Selection {
	/** `changed()` is called when others are chosen. */
	constructor(user, changed) {
		this.user = user;
		this.changed = changed;
		this.chosen = new Map();
		this.loaded = [];
		this.words = h("span", { role: "status" });
		this.element = h("div.selection", { hidden: true, role: "group", "aria-label": "With those selected" },
			this.words,
			button("Delete", () => this.clearAfter(deleteMemories(user, this.all))),
			button("Add a topic…", () => this.topic()),
			button("Purge…", () => askToPurge(user, [...this.chosen.keys()], () => this.clear()), "danger-text"),
			button("Select all loaded", () => this.choose(this.loaded), "quiet"),
			button("Select none", () => this.clear(), "quiet"),
		);
	}

	get all() {
		return [...this.chosen.values()];
	}

	has(memoryId) {
		return this.chosen.has(memoryId);
	}

	/** Chooses an item or lets go of it; with Shift all between it and the one before. */
	toggle(items, index, isRange) {
		const other = isRange ? (this.anchor ?? index) : index;
		const range = items.slice(Math.min(other, index), Math.max(other, index) + 1);
		this.loaded = items;
		this.anchor = index;
		this.choose(range, !this.has(items[index].memoryId));
	}

	choose(memories, isOn = true) {
		for (const each of memories) {
			if (isOn) this.chosen.set(each.memoryId, each);
			else this.chosen.delete(each.memoryId);
		}
		this.element.hidden = this.chosen.size === 0;
		put(this.words, `${count(this.chosen.size)} selected`);
		this.changed();
	}

	clear() {
		this.anchor = undefined;
		this.choose(this.all, false);
	}

	async clearAfter(done) {
		await done;
		this.clear();
	}

	topic() {
		const name = input({ autofocus: true, required: true });
		openForm("Add a topic", field("Topic", name), {
			action: "Add",
			submit: () => this.clearAfter(addTopic(this.user, this.all, name.value.trim())),
		});
	}
}
