/** Erasing a user: the name has to be typed. */

import { write } from "./api.js";
import { field, openForm } from "./dialogs.js";
import { h, said } from "./dom.js";
import { count } from "./format.js";
import { notice } from "./notices.js";
import { navigate } from "./router.js";

export function eraseUser(user) {
	const name = h("input", { dir: "auto", autocomplete: "off", spellcheck: "false", autofocus: true });
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
				const gone = await write("AdminService/EraseUser", { scope: user.scope });
				const memories = count(gone.erasedMemoryCount, "memory", "memories");
				notice(`Erased ${user.userId}: ${memories}, ${count(gone.erasedRunCount, "run")}`);
				navigate(["users"]);
			},
		},
	);
}
