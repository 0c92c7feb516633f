/** The server: what it is, what its database promises, and what waits to be learned in this namespace. */

import { call } from "./api.js";
import { button, link } from "./controls.js";
import { openForm } from "./dialogs.js";
import { h, said } from "./dom.js";
import { count, time, word } from "./format.js";
import { retried } from "./learning.js";
import { namespace, session } from "./session.js";
import { empty, facts, fill } from "./states.js";
import { Stats } from "./stats.js";

const LOOKED_AT = 200;
const PROMISES = {
	DURABLE: "What was acknowledged survives a crash",
	FAILOVER: "It also survives the loss of the database's node",
	SHARED: "Several servers may use this database at once",
	HINTS: "Servers tell each other of changes at once",
};

export function serverView({ signal }) {
	const about = h("div.stack");
	const queue = h("div");
	const look = () => fill(queue, () => waiting(signal), signal);
	fill(about, async () => described(await call("Admin/GetServerInfo", {}, signal)), signal);
	look();
	return h("section.view",
		h("div.heading", h("h1", "Server")),
		about,
		h("div.heading", h("h2", "Queue"), h("span.spring"),
			button("Look again", look),
			button("Retry all that failed…", () => retryAll(look))),
		queue,
	);
}

function described(info) {
	session.server = info;
	const { capabilities = [], redactions = [] } = info;
	const ofQueue = (number, reason) => `${count(number)}${reason ? `: ${word(reason)}` : ""}`;
	return [
		facts([
			["Version", said(info.version)], ["Database", said(info.driver)], ["Engine", said(info.engine)], ["Model", said(info.model || "none")],
			["Vectors", said(info.embedder || "none")], ["Started", time(info.startTime)], ["Memories a user may have", count(info.memoryQuota)],
			["Waiting", ofQueue(info.waitingExtractionCount, info.waitingReason)], ["Failed", ofQueue(info.failedExtractionCount, info.failedReason)],
		]),
		h("section.panel",
			h("h2", "What its database promises"),
			h("ul.lines", capabilities.map(({ supported, name, reason }) => h("li",
				h("span", { class: supported ? "badge" : "chip" }, supported ? "Yes" : "No"), h("strong", word(name)), ` ${PROMISES[name] ?? ""} `,
				reason && said(reason, "span.muted"))))),
		redactions.length > 0 && h("section.panel",
			h("h2", "Secrets redacted since it started"), h("p", redactions.map((each) => h("span.chip", `${each.kind} ${count(each.count)}`)))),
	];
}

/** Returns the users with work that waits or failed, among the first of the namespace. */
async function waiting(signal) {
	const { userIds = [], nextPageToken } = await call("Admin/ListUsers", { namespace: namespace(), pageSize: LOOKED_AT }, signal);
	const stats = new Stats(signal, () => {});
	const all = await Promise.all(userIds.map(async (userId) => [userId, (await stats.get(userId)) ?? {}]));
	const busy = all.filter(([, each]) => each.openExtractionCount || each.failedExtractionCount);
	return [
		busy.length ? h("ul.panel.list", busy.map(line)) : empty("Nothing waits, nothing failed"),
		nextPageToken && h("p.hint", `Of the first ${count(LOOKED_AT)} users; the others are counted above.`),
	];
}

function line([userId, { openExtractionCount: open, failedExtractionCount: failed, waitingReason, failedReason }]) {
	return h("li",
		link(["user", userId, "learning"], said(userId)), h("span.spring"),
		open > 0 && h("span.badge", `${count(open)} open`),
		failed > 0 && h("span.badge.bad", `${count(failed)} failed`),
		h("span.muted", [waitingReason, failedReason].filter(Boolean).map(word).join(", ")),
	);
}

function retryAll(look) {
	openForm("Retry all that failed?", h("p", "Every extraction that failed, of every user of this namespace, waits again."), {
		action: "Retry them",
		submit: async () => {
			let number = 0;
			let pageToken = "";
			do {
				const request = { scope: { namespace: namespace() }, allUsers: true, pageToken };
				const page = await call("Extraction/RetryExtractions", request);
				number += page.retriedCount ?? 0;
				pageToken = page.nextPageToken ?? "";
			} while (pageToken);
			retried(number);
			look();
		},
	});
}
