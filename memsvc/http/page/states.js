/** What is shown while something comes, when there is nothing, and when it fails. */

import { ApiError } from "./api.js";
import { h, put } from "./dom.js";

const WORDS = {
	permission_denied: "This token may not do that",
	not_found: "That is not there",
	unavailable: "The server cannot answer just now",
	unauthenticated: "Not signed in",
	resource_exhausted: "That is more than the server takes",
	invalid_argument: "The server does not take that",
};

/** Returns grey lines; they appear only where it takes a while, so that nothing flashes. */
export function loading(lines = 4, words = "Loading") {
	const rows = Array.from({ length: lines }, () => h("div.skeleton"));
	return h("div.loading", { role: "status", "aria-label": words }, rows);
}

export function empty(title, ...more) {
	return h("div.empty", h("p.empty-title", title), more.length ? h("p", more) : null);
}

/** Returns a failure with what can be done about it. */
export function failure(error, again = null) {
	return h("div.failure", { role: "alert" },
		h("p.empty-title", titleOf(error)),
		h("p", messageOf(error)),
		again ? h("button", { onclick: again }, "Try again") : null,
	);
}

export function titleOf(error) {
	return WORDS[error.code] ?? "Something went wrong";
}

export function messageOf(error) {
	if (!(error instanceof ApiError)) console.error(error);
	return error.message;
}

/** Fills an element with what `load()` returns; meanwhile it says so, and where it fails, why. */
export async function fill(element, load, { signal, lines = 4 } = {}) {
	put(element, loading(lines));
	try {
		const made = await load();
		if (!signal?.aborted) put(element, made);
	} catch (error) {
		if (!signal?.aborted) put(element, failure(error, () => fill(element, load, { signal, lines })));
	}
	return element;
}
