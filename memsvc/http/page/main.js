/** The page: who reads, where they are, and what is around it. */

import { call } from "./api.js";
import { configurationView } from "./configuration.js";
import { button, input, markHere } from "./controls.js";
import { closeDialogs } from "./dialogs.js";
import { h, put } from "./dom.js";
import { href, route } from "./router.js";
import { namespace, onRefused, session, setNamespace, signOut } from "./session.js";
import { signIn } from "./signin.js";
import { serverView } from "./server.js";
import { failure, loading } from "./states.js";
import { themeSwitch } from "./theme.js";
import { userView } from "./user.js";
import { usersView } from "./users.js";

const VIEWS = { users: usersView, user: userView, server: serverView, configuration: configurationView };
const PLACES = [["users", "Users"], ["server", "Server"], ["configuration", "Configuration"]];

const app = document.getElementById("app");
const content = h("main", { id: "main", tabindex: "-1" });
let leaving = new AbortController();
let place = "";

async function begin() {
	put(app, loading(3));
	try {
		session.server = await call("Admin/GetServerInfo", {});
	} catch (error) {
		if (error.code !== "unauthenticated") put(app, h("main", { id: "main" }, failure(error, begin)));
		return;
	}
	enter();
}

function enter() {
	wasIn = true;
	put(app, header(), content);
	place = "";
	show();
}

function header() {
	const named = input({
		class: "namespace", value: namespace(), placeholder: "default",
		"aria-label": "Namespace", title: "Namespace: empty is your token's only one, else “default”",
		onchange: () => setNamespace(named.value.trim()),
	});
	return h("header.top",
		h("a.brand", { href: "#/users" }, h("img", { src: "icon.svg", alt: "", width: "24", height: "24" }), h("span", "memsvc")),
		h("nav", { "aria-label": "Places" }, PLACES.map(([name, shown]) => h("a", { "data-place": name }, shown))),
		h("span.top-right",
			named,
			themeSwitch(),
			session.token && button("Sign out", () => signOut(), "quiet"),
		),
	);
}

/** Shows the place that the address names; what comes further down in it is the view's own matter. */
function show() {
	if (session.server === null) return;
	const { path, params } = route();
	const view = VIEWS[path[0]] ?? VIEWS.users;
	const whole = path[0] in VIEWS ? path.slice(0, 2) : ["users"];
	const there = JSON.stringify([whole, params.get("ns")]);
	if (there === place) return;
	place = there;
	leaving.abort();
	leaving = new AbortController();
	closeDialogs();
	const links = document.querySelectorAll("header.top nav a");
	for (const each of links) each.href = href([each.dataset.place]);
	markHere(links, (each) => each.dataset.place === (path[0] === "user" ? "users" : (path[0] ?? "users")));
	document.title = [...(path[0] === "user" ? path.slice(1) : path), "memsvc"].join(" · ");
	put(content, view({ path, params, signal: leaving.signal }));
}

let wasIn = false;

onRefused((why) => {
	// A token that is wrong is said by the form where it was typed.
	if (document.querySelector(".signin")) return;
	leaving.abort();
	closeDialogs();
	place = "";
	put(content);
	put(app, signIn(why && wasIn ? "You were signed out: the server no longer knows this token." : "", enter));
	wasIn = false;
});

addEventListener("hashchange", show);
document.querySelector(".skip").addEventListener("click", (event) => {
	event.preventDefault();
	document.getElementById("main")?.focus();
});
begin();
