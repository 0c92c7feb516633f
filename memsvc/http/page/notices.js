/** Says what was done, and takes it back where that can be. */

import { button } from "./controls.js";
import { h } from "./dom.js";
import { inWords } from "./states.js";

const SECONDS = 12;
const MOST = 4;

/** Shows a sentence. `undo`, if given, is called once, by the button beside it. */
export function notice(text, undo = null, kind = "done") {
	const place = document.getElementById("notices");
	const close = () => {
		clearTimeout(timer);
		shown.remove();
	};
	const shown = h(`div.notice.${kind}`,
		h("span", { dir: "auto" }, text),
		undo && button("Undo", () => (close(), undo()), "quiet"),
		button("×", close, "quiet icon", { "aria-label": "Dismiss" }),
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
}

/** Does something, now; where it fails, says so. */
export async function attempt(action) {
	try {
		return await action();
	} catch (error) {
		if (error.code !== "canceled" && error.code !== "unauthenticated") notice(inWords(error), null, "failed");
		return undefined;
	}
}
