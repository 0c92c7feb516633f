/** Says what was done, and takes it back where that can be. */

import { h } from "./dom.js";
import { messageOf, titleOf } from "./states.js";

const SECONDS = 12;
const MOST = 4;

/** Shows a sentence. `undo`, if given, is called once, by the button beside it. */
export function notice(text, { undo = null, kind = "done" } = {}) {
	const place = document.getElementById("notices");
	const close = () => {
		clearTimeout(timer);
		shown.remove();
	};
	const button = undo
		? h("button.quiet", { onclick: () => (close(), attempt(undo)) }, "Undo")
		: null;
	const shown = h(
		"div",
		{ class: `notice ${kind}` },
		h("span", { dir: "auto" }, text),
		button,
		h("button.quiet.icon", { "aria-label": "Dismiss", onclick: close }, "×"),
	);
	let timer;
	const wait = () => {
		clearTimeout(timer);
		timer = setTimeout(close, SECONDS * 1000);
	};
	// Whoever reads it, or is about to press its button, has time.
	for (const event of ["pointerenter", "focusin"]) shown.addEventListener(event, () => clearTimeout(timer));
	for (const event of ["pointerleave", "focusout"]) shown.addEventListener(event, wait);
	wait();
	place.append(shown);
	while (place.children.length > MOST) place.firstElementChild.remove();
	return close;
}

export function failed(error) {
	if (error.code === "canceled" || error.code === "unauthenticated") return;
	notice(`${titleOf(error)}: ${messageOf(error)}`, { kind: "failed" });
}

/** Does something; where it fails, says so. */
export async function attempt(action) {
	try {
		return await action();
	} catch (error) {
		failed(error);
		return undefined;
	}
}
