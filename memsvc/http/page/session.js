/** Who reads: the token, in memory alone, and nothing that outlives the page. */

import { navigate, route } from "./router.js";

let token = "";
let refused = () => {};

export const session = {
	/** What the server said of itself at sign-in. */
	server: null,
};

export function setToken(given) {
	token = given.trim();
}

export function hasToken() {
	return token !== "";
}

/** Returns the headers that say who calls. */
export function credentials() {
	return token ? { Authorization: `Bearer ${token}` } : {};
}

/** Has `action(why)` called when the server no longer knows the reader. */
export function onRefused(action) {
	refused = action;
}

export function signOut(why = "") {
	token = "";
	session.server = null;
	refused(why);
}

/** Returns the namespace that is shown; empty: the token's only one, else `default`. */
export function namespace() {
	return route().params.get("ns") ?? "";
}

export function setNamespace(name) {
	navigate(["users"], name ? { ns: name } : { ns: null });
}

export function scopeOf(userId) {
	const named = namespace();
	return named ? { namespace: named, userId } : { userId };
}
