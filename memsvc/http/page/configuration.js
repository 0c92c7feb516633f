/** What is configured for the namespace and its agents: edited, checked by the server, compared, then saved. */

import { call, write } from "./api.js";
import { openForm } from "./dialogs.js";
import { diffBlock } from "./diff.js";
import { h, put, said } from "./dom.js";
import { time } from "./format.js";
import { attempt, notice } from "./notices.js";
import { route, setParams } from "./router.js";
import { namespace } from "./session.js";
import { settingsForm } from "./settings_form.js";
import { fill } from "./states.js";

export function configurationView({ signal }) {
	const body = h("div.stack");
	const agent = h("input", { dir: "auto", autocomplete: "off", placeholder: "the whole namespace", "aria-label": "Agent", value: route().params.get("agent") ?? "" });
	const load = () => fill(body, () => made(route().params.get("agent") ?? "", load, signal), { signal, lines: 8 });
	let shown = route().params.get("agent") ?? "";
	addEventListener("hashchange", () => {
		const asked = route().params.get("agent") ?? "";
		if (route().path[0] !== "configuration" || asked === shown) return;
		shown = asked;
		load();
	}, { signal });
	load();
	return h("section.view",
		h("div.heading", h("h1", { tabindex: "-1" }, "Configuration")),
		h("form.toolbar", { onsubmit: (event) => (event.preventDefault(), setParams({ agent: agent.value.trim() })) },
			h("span.muted", "Of"), agent, h("button", { type: "submit" }, "Open")),
		body,
	);
}

async function made(agentId, reload, signal) {
	const reply = await call("ConfigService/GetMemoryConfig", { namespace: namespace(), agentId }, { signal });
	const { config = {}, inForce = {} } = reply;
	const form = settingsForm(config.settings ?? {}, inForce, { ofAgent: agentId !== "" });
	const problem = h("p.field-error", { role: "alert" });
	const review = async (event) => {
		event.preventDefault();
		put(problem);
		for (const each of element.querySelectorAll("[aria-invalid]")) each.removeAttribute("aria-invalid");
		try {
			await compare(agentId, config, inForce, form.read(), reload);
		} catch (error) {
			put(problem, error.message);
			const wrong = error.fields?.[0]?.field ?? "";
			const at = [...element.querySelectorAll("[data-field]")].filter((each) => wrong.endsWith(each.dataset.field));
			const layer = wrong.match(/profile|policy|knowledge|feedback/)?.[0];
			const place = at.find((each) => !layer || each.closest(`.LAYER_${layer.toUpperCase()}`)) ?? at[0];
			if (!place) return;
			place.setAttribute("aria-invalid", "true");
			place.closest("details")?.setAttribute("open", "");
			place.focus();
		}
	};
	const element = h("form.stack", { onsubmit: review },
		h("p.muted", config.updateTime ? ["Last changed ", time(config.updateTime), ` · revision ${config.configRevision}`] : "Nothing is configured here: all is as elsewhere.",
			agentId ? [" · agent ", said(agentId, "strong")] : null),
		form.element,
		problem,
		h("div.actions.save", h("button", { type: "submit", class: "primary" }, "Review changes…")),
		h("details.panel", h("summary", h("h2", "What is in force")), said(JSON.stringify(inForce, null, 2), "pre")),
	);
	return element;
}

/** Has the server check the settings, shows what changes, and saves them when told to. */
async function compare(agentId, config, inForce, settings, reload) {
	const request = { namespace: namespace(), agentId, settings, updateMask: "*", etag: config.etag ?? "" };
	const checked = await call("ConfigService/UpdateMemoryConfig", { ...request, validateOnly: true });
	const here = diffBlock(lined(config.settings ?? {}), lined(checked.config?.settings ?? {}));
	if (!here) return void notice("Nothing was changed");
	openForm(
		"Save these changes?",
		[h("h3", agentId ? "Configured for the agent" : "Configured for the namespace"), here,
			h("h3", "In force with it"), diffBlock(lined(inForce), lined(checked.inForce ?? {})) ?? h("p.muted", "Nothing becomes other than it is.")],
		{ action: "Save", submit: () => save(request, config.settings ?? {}, reload) },
	);
}

async function save(request, before, reload) {
	const saved = await write("ConfigService/UpdateMemoryConfig", request);
	const undo = async () => {
		await write("ConfigService/UpdateMemoryConfig", { ...request, settings: before, etag: saved.config.etag });
		notice("What was configured before is back");
		if (route().path[0] === "configuration") await attempt(reload);
	};
	notice(`Saved · revision ${saved.config.configRevision}`, { undo });
	await reload();
}

/** Returns settings as lines of JSON; schemas are shown as they are meant, not as text in text. */
function lined(settings) {
	const shown = (name, value) => {
		if (name !== "schemaJson" || !value) return value;
		try {
			return JSON.parse(value);
		} catch {
			return value;
		}
	};
	return JSON.stringify(settings, shown, 2);
}
