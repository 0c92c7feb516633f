/** The first thing that is seen where the server asks who calls. */

import { call } from "./api.js";
import { field, form, input, submitButton } from "./controls.js";
import { h, put } from "./dom.js";
import { session } from "./session.js";
import { messageOf } from "./states.js";

/** Returns the form; `entered()` is called once the server knows the reader. */
export function signIn(why, entered) {
	const said = h("p.field-error", { role: "alert" }, why);
	const token = input({ type: "password", autocapitalize: "off", required: true });
	const button = submitButton("Sign in");
	const submit = async () => {
		put(said);
		button.disabled = true;
		session.token = token.value.trim();
		token.value = "";
		try {
			session.server = await call("Admin/GetServerInfo", {});
			entered();
		} catch (error) {
			put(said, error.code === "unauthenticated" ? "The server does not know this token." : messageOf(error));
			token.focus();
		} finally {
			button.disabled = false;
		}
	};
	queueMicrotask(() => token.focus());
	return h("main.signin", { id: "main" },
		form("panel", submit,
			h("h1", "memsvc"),
			h("p.muted", "See and manage what your agents remember."),
			field("Token", token, "Kept in this page's memory only: a reload asks again."),
			said,
			button,
		),
	);
}
