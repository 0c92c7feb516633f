/** The first thing that is seen where the server asks who calls. */

import { call } from "./api.js";
import { h, put } from "./dom.js";
import { session, setToken } from "./session.js";
import { messageOf } from "./states.js";

/** Returns the form; `entered()` is called once the server knows the reader. */
export function signIn(why, entered) {
	const said = h("p.field-error", { role: "alert" }, why);
	const token = h("input", {
		id: "token", type: "password", autocomplete: "off", spellcheck: "false", autocapitalize: "off",
		required: true, "aria-describedby": "token-hint",
	});
	const button = h("button.primary", { type: "submit" }, "Sign in");
	const submit = async (event) => {
		event.preventDefault();
		put(said);
		button.disabled = true;
		setToken(token.value);
		token.value = "";
		try {
			session.server = await call("AdminService/GetServerInfo", {});
			entered();
		} catch (error) {
			put(said, error.code === "unauthenticated" ? "The server does not know this token." : messageOf(error));
			token.focus();
		} finally {
			button.disabled = false;
		}
	};
	queueMicrotask(() => token.focus());
	return h(
		"main",
		{ id: "main", class: "signin" },
		h("form.panel", { onsubmit: submit },
			h("h1", "memsvc"),
			h("p.muted", "See and manage what your agents remember."),
			h("label", { for: "token" }, "Token"),
			token,
			h("p", { id: "token-hint", class: "hint" }, "Kept in this page's memory only: a reload asks again."),
			said,
			button,
		),
	);
}
