/** Deleting all memories that fit a filter, after a look at what goes. */

import { call, write } from "./api.js";
import { revert } from "./actions.js";
import { openForm, tick } from "./dialogs.js";
import { h, put, said, start } from "./dom.js";
import { count, layerName } from "./format.js";
import { inWords, isNarrow } from "./filters.js";
import { notice } from "./notices.js";
import { failure, loading } from "./states.js";

const PREVIEWED = 50;

export function clearMemories(user, shown) {
	// What is cleared may be of the past too, as the API has it.
	const filter = { ...shown };
	delete filter.includeSuperseded;
	const which = isNarrow(filter) ? { filter } : { all: true };
	const preview = h("div.preview", loading(3));
	const purge = tick("Purge: blank their text in the history too. There is no undo then.", false);
	let found = 0;
	const dialog = openForm(
		"Clear memories",
		[
			h("p", which.all ? "All memories of this user: no filter is set." : "All that fit: ", inWords(filter).map((each) => said(each, "span.chip"))),
			preview,
			purge,
		],
		{
			action: "Clear them",
			danger: true,
			ready: () => found > 0,
			submit: async () => {
				const isPurge = purge.querySelector("input").checked;
				const { clearedCount = 0, revision } = await write("MemoryService/ClearMemories", { scope: user.scope, ...which, purge: isPurge });
				const words = `${isPurge ? "Purged" : "Cleared"} ${count(clearedCount, "memory", "memories")}`;
				if (isPurge) notice(`${words}, from the history too: that cannot be undone`);
				else notice(`${words} · revision ${revision}`, { undo: () => revert(user, revision) });
			},
		},
	);
	const show = async () => {
		try {
			const listed = { scope: user.scope, filter: { ...filter, includeSuperseded: true }, pageSize: PREVIEWED };
			const [{ clearedCount = 0 }, { memories = [] }] = await Promise.all([
				call("MemoryService/ClearMemories", { scope: user.scope, ...which, validateOnly: true }),
				call("MemoryService/ListMemories", listed),
			]);
			found = clearedCount;
			put(
				preview,
				h("p", h("strong", count(found, "memory", "memories")), found === 1 ? " goes" : " go", found ? ":" : "."),
				found ? h("ul.lines", { tabindex: "0", "aria-label": "What goes" }, memories.map(line)) : null,
				found > memories.length ? h("p.muted", `and ${count(found - memories.length)} more`) : null,
			);
			dialog.querySelector("form").dispatchEvent(new Event("input"));
		} catch (error) {
			put(preview, failure(error, show));
		}
	};
	show();
}

function line(memory) {
	return h("li", layerName(memory.layer), " ", said(start(memory.text || memory.key, 120)));
}
