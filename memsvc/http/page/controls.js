/** What is pressed, typed into, chosen and followed. */

import { freshId, h } from "./dom.js";
import { attempt } from "./notices.js";
import { href } from "./router.js";

/** Returns a button; where what it does fails, that is said. `kind`: primary, danger-text, quiet, icon. */
export function button(label, action, kind = null, attributes = {}) {
	return h("button", { type: "button", class: kind, onclick: () => attempt(action), ...attributes }, label);
}

export function submitButton(label, kind = "primary") {
	return h("button", { type: "submit", class: kind }, label);
}

export function link(path, shown, params = {}, kind = null) {
	return h("a", { href: href(path, params), class: kind }, shown);
}

/** Marks the link that leads where the reader is. */
export function markHere(links, isHere) {
	for (const each of links) {
		if (isHere(each)) each.setAttribute("aria-current", "page");
		else each.removeAttribute("aria-current");
	}
}

/** Returns a line to type in; nothing is proposed or corrected, for names are no words. */
export function input(attributes = {}) {
	return h("input", { dir: "auto", autocomplete: "off", spellcheck: "false", ...attributes });
}

export function searchInput(label, placeholder, attributes = {}) {
	return input({ type: "search", "aria-label": label, placeholder, ...attributes });
}

export function textarea(rows, attributes = {}) {
	return h("textarea", { rows, dir: "auto", ...attributes });
}

export function field(label, control, hint = "") {
	control.id ||= freshId("field");
	const described = hint && freshId("hint");
	if (hint) control.setAttribute("aria-describedby", described);
	return h("div.field", h("label", { for: control.id }, label), control, hint && h("p.hint", { id: described }, hint));
}

/** Returns a choice between names: pairs of a value and what it is called. */
export function choice(options, value, attributes = {}) {
	return h("select", { ...attributes, value }, options.map(([name, shown]) => h("option", { value: name }, shown)));
}

export function tick(label, checked, attributes = {}) {
	return h("label.tick", h("input", { type: "checkbox", checked, ...attributes }), h("span", label));
}

export function isTicked(tick) {
	return tick.querySelector("input").checked;
}

export function form(kind, submit, ...parts) {
	return h("form", { class: kind, onsubmit: (event) => (event.preventDefault(), submit()) }, parts);
}

/** Marks the fields that the server does not take, named by `data-field`; returns them. */
export function markWrong(form, violations = []) {
	return [...form.querySelectorAll("[data-field]")].filter((each) => {
		const isWrong = violations.some(({ field }) => field.endsWith(each.dataset.field));
		if (isWrong) each.setAttribute("aria-invalid", "true");
		else each.removeAttribute("aria-invalid");
		return isWrong;
	});
}
