/** What is shown while something comes, when there is nothing, and when it fails. */

import { ApiError } from "./api.js";
import { button } from "./controls.js";
import { h, put } from "./dom.js";

const WORDS = {
	permission_denied: "This token may not do that",
	not_found: "That is not there",
	unavailable: "The server cannot answer just now",
	unauthenticated: "Not signed in",
	resource_exhausted: "That is more than the server takes",
	failed_precondition: "The server cannot do that as it is",
	invalid_argument: "The server does not take that",
};

/** Returns grey lines; they appear only where it takes a while, so that nothing flashes. */
export function loading(lines = 4) {
	const rows = Array.from({ length: lines }, () => h("div.skeleton"));
	return h("div.loading", { role: "status", "aria-label": "Loading" }, rows);
}

export function empty(title, more) {
	return h("div.empty", h("p.empty-title", title), more && h("p", more));
}

export function failure(error, again) {
	return h("div.failure", { role: "alert" },
		h("p.empty-title", titleOf(error)),
		h("p", messageOf(error)),
		button("Try again", again),
	);
}

export function inWords(error) {
	return `${titleOf(error)}. ${messageOf(error)}`;
}

function titleOf(error) {
	return WORDS[error.code] ?? "Something went wrong";
}

export function messageOf(error) {
	if (!(error instanceof ApiError)) console.error(error);
	return error.message;
}

/** Fills an element with what `load()` returns; meanwhile it says so, and where it fails, why. */
export async function fill(element, load, signal, lines = 4) {
	put(element, loading(lines));
	try {
		const made = await load();
		if (!signal.aborted) put(element, made);
	} catch (error) {
		if (!signal.aborted) put(element, failure(error, () => fill(element, load, signal, lines)));
	}
}

/**
 * Fills an element, and again soon after each change of the user's memories. Nothing is taken away before the new is
 * there, and what was folded out stays so; where it fails, what is shown stays: the line above tells of the connection.
 */
export function fillLive(element, load, user, signal) {
	user.live.afterChanges(async () => {
		const made = await load().catch(() => null);
		if (made && !signal.aborted) putFolded(element, made);
	}, signal);
	return fill(element, load, signal, 8);
}

/** Puts something in the place of its like, folded as that was. */
export function putFolded(element, made) {
	const open = [...element.querySelectorAll("details")].map((each) => each.open);
	put(element, made);
	element.querySelectorAll("details").forEach((each, at) => (each.open = open[at] ?? each.open));
}

export function facts(pairs, kind = "dl.facts.panel") {
	return h(kind, pairs.map(([name, shown]) => h("div", h("dt", name), h("dd", shown))));
}
