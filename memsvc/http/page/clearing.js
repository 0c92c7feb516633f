/** Deleting much at once: all that fits a filter, after a look at what goes, or a user, whose name has to be typed. */

import { done, purged } from "./actions.js";
import { field, input, isTicked, tick } from "./controls.js";
import { openForm } from "./dialogs.js";
import { h, put, said, start } from "./dom.js";
import { filterWords, isNarrow } from "./filters.js";
import { count, countMemories, layerName } from "./format.js";
import { notice } from "./notices.js";
import { navigate } from "./router.js";
import { failure, loading } from "./states.js";

const PREVIEWED = 50;

export function clearMemories(user, shown) {
	// What is cleared may be of the past too, as the API has it.
	const { includeSuperseded: _, ...filter } = shown;
	const which = isNarrow(filter) ? { filter } : { all: true };
	const preview = h("div.preview", loading(3));
	const purge = tick("Purge: blank their text in the history too. There is no undo then.", false);
	let found = 0;
	const dialog = openForm(
		"Clear memories",
		[
			h("p", which.all ? "All memories of this user: no filter is set." : ["All that fit: ", filterWords(filter).map((each) => said(each, "span.chip"))]),
			preview,
			purge,
		],
		{
			action: "Clear them",
			danger: true,
			ready: () => found > 0,
			submit: async () => {
				const { clearedCount = 0, revision } = await user.write("Memory/ClearMemories", { ...which, purge: isTicked(purge) });
				if (isTicked(purge)) purged(clearedCount);
				else done(user, `Cleared ${countMemories(clearedCount)}`, revision);
			},
		},
	);
	const show = async () => {
		try {
			const [{ clearedCount = 0 }, { memories = [] }] = await Promise.all([
				user.call("Memory/ClearMemories", { ...which, validateOnly: true }),
				user.call("Memory/ListMemories", { filter: { ...filter, includeSuperseded: true }, pageSize: PREVIEWED }),
			]);
			found = clearedCount;
			put(
				preview,
				h("p", h("strong", countMemories(found)), found === 1 ? " goes" : " go", found ? ":" : "."),
				found > 0 && h("ul.lines", { tabindex: "0", "aria-label": "What goes" }, memories.map(line)),
				found > memories.length && h("p.muted", `and ${count(found - memories.length)} more`),
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

export function eraseUser(user) {
	const name = input({ autofocus: true });
	openForm(
		"Erase this user?",
		[
			h("p", "All memories, conversations, history and queued work of ", said(user.userId, "strong"), " go. There is no undo."),
			field("Type the user's name", name),
		],
		{
			action: "Erase",
			danger: true,
			ready: () => name.value === user.userId,
			submit: async () => {
				const gone = await user.write("Admin/EraseUser");
				notice(`Erased ${user.userId}: ${countMemories(gone.erasedMemoryCount)}, ${count(gone.erasedRunCount, "run")}`);
				navigate(["users"]);
			},
		},
	);
}
