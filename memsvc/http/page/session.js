/** Who reads: the token, in memory alone, and nothing that outlives the page. */

import { navigate, route } from "./router.js";

let refused = () => {};

/** `server`: what it said of itself at sign-in. */
export const session = { token: "", server: null };

/** Returns the headers that say who calls. */
export function credentials() {
	return session.token ? { Authorization: `Bearer ${session.token}` } : {};
}

/** Has `action(why)` called when the server no longer knows the reader. */
export function onRefused(action) {
	refused = action;
}

export function signOut(why = "") {
	Object.assign(session, { token: "", server: null });
	refused(why);
}

/** Returns the namespace that is shown; empty: the token's only one, else `default`. */
export function namespace() {
	return route().params.get("ns") ?? "";
}

export function setNamespace(name) {
	navigate(["users"], { ns: name });
}

export function scopeOf(userId) {
	return { namespace: namespace(), userId };
}
