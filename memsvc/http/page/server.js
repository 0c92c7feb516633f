/** The server: what it is, what its database promises, and what waits to be learned in this namespace. */

import { call } from "./api.js";
import { h, said } from "./dom.js";
import { openForm } from "./dialogs.js";
import { count, time, word } from "./format.js";
import { attempt, notice } from "./notices.js";
import { href } from "./router.js";
import { namespace, session } from "./session.js";
import { empty, fill } from "./states.js";
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
	fill(about, async () => facts(await call("AdminService/GetServerInfo", {}, { signal })), { signal });
	fill(queue, () => waiting(signal), { signal });
	return h("section.view",
		h("div.heading", h("h1", { tabindex: "-1" }, "Server")),
		about,
		h("div.heading", h("h2", "Queue"), h("span.spring"),
			h("button", { onclick: () => fill(queue, () => waiting(signal), { signal }) }, "Look again"),
			h("button", { onclick: () => retryAll(queue, signal) }, "Retry all that failed…")),
		queue,
	);
}

function facts(info) {
	session.server = info;
	const pairs = [
		["Version", info.version], ["Database", info.driver], ["Engine", info.engine], ["Model", info.model || "none"],
		["Vectors", info.embedder || "none"], ["Started", time(info.startTime)], ["Memories a user may have", count(info.memoryQuota)],
		["Waiting", `${count(info.waitingExtractionCount)}${info.waitingReason ? `: ${word(info.waitingReason)}` : ""}`],
		["Failed", `${count(info.failedExtractionCount)}${info.failedReason ? `: ${word(info.failedReason)}` : ""}`],
	];
	const redacted = info.redactions ?? [];
	return [
		h("dl.facts.panel", pairs.map(([name, shown]) => h("div", h("dt", name), h("dd", typeof shown === "string" ? said(shown) : shown)))),
		h("section.panel",
			h("h2", "What its database promises"),
			h("ul.lines", (info.capabilities ?? []).map((each) => h("li", null,
				h("span", { class: each.supported ? "badge" : "chip" }, each.supported ? "Yes" : "No"), h("strong", word(each.name)), ` ${PROMISES[each.name] ?? ""} `,
				each.reason ? said(each.reason, "span.muted") : null)))),
		redacted.length
			? h("section.panel", h("h2", "Secrets redacted since it started"), h("p", redacted.map((each) => h("span.chip", `${each.kind} ${count(each.count)}`))))
			: null,
	];
}

/** Returns the users with work that waits or failed, among the first of the namespace. */
async function waiting(signal) {
	const { userIds = [], nextPageToken } = await call("AdminService/ListUsers", { namespace: namespace(), pageSize: LOOKED_AT }, { signal });
	const stats = new Stats(signal, () => {});
	const all = await Promise.all(userIds.map(async (userId) => ({ userId, stats: await stats.get(userId) })));
	const busy = all.filter((each) => each.stats?.openExtractionCount || each.stats?.failedExtractionCount);
	const limit = nextPageToken ? h("p.hint", `Of the first ${count(LOOKED_AT)} users; the others are counted above.`) : null;
	if (!busy.length) return [empty("Nothing waits, nothing failed"), limit];
	return [h("ul.panel.list", busy.map(line)), limit];
}

function line({ userId, stats }) {
	const failed = stats.failedExtractionCount ?? 0;
	const reasons = [stats.waitingReason, stats.failedReason].filter(Boolean).map(word).join(", ");
	return h(
		"li",
		null,
		h("a", { href: href(["user", userId, "learning"]) }, said(userId)), h("span.spring"),
		stats.openExtractionCount ? h("span.badge", `${count(stats.openExtractionCount)} open`) : null,
		failed ? h("span.badge.bad", `${count(failed)} failed`) : null,
		reasons ? h("span.muted", reasons) : null,
	);
}

function retryAll(queue, signal) {
	openForm("Retry all that failed?", h("p", "Every extraction that failed, of every user of this namespace, waits again."), {
		action: "Retry them",
		submit: async () => {
			let retried = 0;
			let pageToken = "";
			do {
				const request = { scope: { namespace: namespace() }, allUsers: true, pageToken };
				const page = await call("ExtractionService/RetryExtractions", request);
				retried += page.retriedCount ?? 0;
				pageToken = page.nextPageToken ?? "";
			} while (pageToken);
			notice(`${count(retried, "extraction")} wait${retried === 1 ? "s" : ""} again`);
			await attempt(() => fill(queue, () => waiting(signal), { signal }));
		},
	});
}

