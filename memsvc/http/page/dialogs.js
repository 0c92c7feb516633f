/** Windows within the page: the browser keeps the focus inside, and Escape closes them. */

import { button, form, markWrong, submitButton } from "./controls.js";
import { freshId, h, put } from "./dom.js";
import { inWords } from "./states.js";

/** Opens a window, and returns it with `close()`. `kind` drawer: at the side. */
export function openDialog(title, body, { kind = "window", closed = () => {} } = {}) {
	const id = freshId("title");
	const heading = h("h2", { id, tabindex: "-1" }, title);
	const element = h(`dialog.${kind}`,
		{ "aria-labelledby": id, onclose: () => (topmost(element), element.remove(), closed()) },
		h("header", heading, button("×", () => element.close(), "quiet icon", { "aria-label": "Close" })),
		h("div.dialog-body", body),
	);
	element.addEventListener("pointerdown", (event) => {
		if (event.target === element && kind === "drawer") element.close();
	});
	document.body.append(element);
	element.showModal();
	topmost();
	(element.querySelector("[autofocus]") ?? heading).focus();
	return element;
}

/** Puts the notices where they can be seen and pressed: into the window that is in front, if there is one. */
function topmost(closing = null) {
	const open = [...document.querySelectorAll("dialog[open]")].filter((each) => each !== closing);
	(open.at(-1) ?? document.body).append(document.getElementById("notices"));
}

/** Closes all that is open: the reader went elsewhere. */
export function closeDialogs() {
	for (const element of document.querySelectorAll("dialog")) element.close();
}

/**
 * Opens a window with a form. `submit()` does it: where it fails, the window stays and says why, each field beside
 * itself. Fields are named by `data-field`; `ready()` says whether the form can be sent as it is.
 */
export function openForm(title, fields, { action, submit, danger = false, ready = () => true }) {
	const problem = h("p.field-error", { role: "alert" });
	const send = submitButton(action, danger ? "danger" : "primary");
	const check = () => (send.disabled = !ready());
	const element = form("form", async () => {
		put(problem);
		send.disabled = true;
		try {
			if ((await submit()) !== false) dialog.close();
		} catch (error) {
			put(problem, inWords(error));
			markWrong(element, error.fields);
		} finally {
			check();
		}
	}, fields, problem, h("div.actions", send, button("Cancel", () => dialog.close())));
	element.addEventListener("input", check);
	const dialog = openDialog(title, element);
	check();
	return dialog;
}
