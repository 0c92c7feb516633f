/** Windows within the page: the browser keeps the focus inside, and Escape closes them. */

import { freshId, h, put } from "./dom.js";
import { messageOf, titleOf } from "./states.js";

/** Opens a window, and returns it with `close()`. `kind` drawer: at the side. */
export function openDialog(title, body, { kind = "window", closed = () => {} } = {}) {
	const id = freshId("title");
	const heading = h("h2", { id, tabindex: "-1" }, title);
	const element = h(
		"dialog",
		{ class: kind, "aria-labelledby": id, onclose: () => (topmost(element), element.remove(), closed()) },
		h("header", heading, h("button.quiet.icon", { "aria-label": "Close", onclick: () => element.close() }, "×")),
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
 * Opens a window with a form. `submit(form)` does it: where it fails, the window stays and says why, each field beside
 * itself. Fields are named by `data-field`.
 */
export function openForm(title, fields, { action, submit, danger = false, kind = "window", ready = () => true, more = [] }) {
	const problem = h("p.field-error", { role: "alert" });
	const button = h("button", { type: "submit", class: danger ? "danger" : "primary" }, action);
	const check = () => (button.disabled = !ready());
	const onsubmit = async (event) => {
		event.preventDefault();
		put(problem);
		button.disabled = true;
		try {
			if ((await submit(form)) !== false) dialog.close();
		} catch (error) {
			put(problem, `${titleOf(error)}. ${messageOf(error)}`);
			mark(form, error.fields ?? []);
		} finally {
			check();
		}
	};
	const form = h("form.form", { onsubmit, oninput: check },
		fields,
		problem,
		h("div.actions", button, more, h("button", { type: "button", onclick: () => dialog.close() }, "Cancel")),
	);
	const dialog = openDialog(title, form, { kind });
	check();
	return dialog;
}

/** Marks the fields that are wrong. */
function mark(form, violations) {
	for (const each of form.querySelectorAll("[data-field]")) {
		const wrong = violations.find((violation) => violation.field.endsWith(each.dataset.field));
		if (wrong) each.setAttribute("aria-invalid", "true");
		else each.removeAttribute("aria-invalid");
	}
}

/** Returns a labelled field. */
export function field(label, control, hint = "") {
	const id = control.id || freshId("field");
	control.id = id;
	const described = hint ? freshId("hint") : null;
	if (described) control.setAttribute("aria-describedby", described);
	return h("div.field", h("label", { for: id }, label), control, hint ? h("p", { id: described, class: "hint" }, hint) : null);
}

/** Returns a choice between names: pairs of a value and what it is called. */
export function choice(options, value, attributes = {}) {
	const made = options.map(([name, shown]) => h("option", { value: name }, shown));
	return h("select", { ...attributes, value }, made);
}

/** Returns a box to tick with its words. */
export function tick(label, checked, attributes = {}) {
	return h("label.tick", h("input", { type: "checkbox", checked, ...attributes }), h("span", label));
}
