/** What is configured for the namespace and its agents: edited, checked by the server, compared, then saved. */

import { call, write } from "./api.js";
import { form, input, markWrong, submitButton } from "./controls.js";
import { openForm } from "./dialogs.js";
import { diffBlock } from "./diff.js";
import { h, put, said } from "./dom.js";
import { time } from "./format.js";
import { notice } from "./notices.js";
import { route, setParams } from "./router.js";
import { namespace } from "./session.js";
import { settingsForm } from "./settings_form.js";
import { fill } from "./states.js";

const asked = () => route().params.get("agent") ?? "";

export function configurationView({ signal }) {
	const body = h("div.stack");
	const agent = input({ placeholder: "the whole namespace", "aria-label": "Agent", value: asked() });
	const load = () => fill(body, () => made(asked(), load, signal), signal, 8);
	let shown = asked();
	addEventListener("hashchange", () => {
		if (route().path[0] !== "configuration" || asked() === shown) return;
		shown = asked();
		load();
	}, { signal });
	load();
	return h("section.view",
		h("div.heading", h("h1", "Configuration")),
		form("toolbar", () => setParams({ agent: agent.value.trim() }), h("span.muted", "Of"), agent, submitButton("Open", null)),
		body,
	);
}

async function made(agentId, reload, signal) {
	const { config = {}, inForce = {} } = await call("Config/GetMemoryConfig", { namespace: namespace(), agentId }, signal);
	const fields = settingsForm(config.settings ?? {}, inForce, { ofAgent: agentId !== "" });
	const problem = h("p.field-error", { role: "alert" });
	const review = async () => {
		put(problem);
		markWrong(element);
		try {
			await compare(agentId, config, inForce, fields.read(), reload);
		} catch (error) {
			put(problem, error.message);
			point(element, error.fields?.[0]?.field ?? "");
		}
	};
	const element = form("stack", review,
		h("p.muted", config.updateTime ? ["Last changed ", time(config.updateTime), ` · revision ${config.configRevision}`] : "Nothing is configured here: all is as elsewhere.",
			agentId && [" · agent ", said(agentId, "strong")]),
		fields.element,
		problem,
		h("div.actions.save", submitButton("Review changes…")),
		h("details.panel", h("summary", h("h2", "What is in force")), said(lined(inForce), "pre")),
	);
	return element;
}

/** Leads to the field that the server does not take: of several layers, that of the one that it names. */
function point(element, wrong) {
	const layer = wrong.match(/profile|policy|knowledge|feedback/)?.[0];
	const places = [...element.querySelectorAll(layer ? `.LAYER_${layer.toUpperCase()}` : ".form")];
	const [at] = places.flatMap((each) => markWrong(each, [{ field: wrong }]));
	if (!at) return;
	at.closest("details")?.setAttribute("open", "");
	at.focus();
}

/** Has the server check the settings, shows what changes, and saves them when told to. */
async function compare(agentId, config, inForce, settings, reload) {
	const before = config.settings ?? {};
	const request = { namespace: namespace(), agentId, settings, updateMask: "*", etag: config.etag ?? "" };
	const checked = await call("Config/UpdateMemoryConfig", { ...request, validateOnly: true });
	const here = diffBlock(lined(before), lined(checked.config?.settings ?? {}));
	if (!here) return void notice("Nothing was changed");
	openForm(
		"Save these changes?",
		[h("h3", agentId ? "Configured for the agent" : "Configured for the namespace"), here,
			h("h3", "In force with it"), diffBlock(lined(inForce), lined(checked.inForce ?? {})) ?? h("p.muted", "Nothing becomes other than it is.")],
		{ action: "Save", submit: () => save(request, before, reload) },
	);
}

async function save(request, before, reload) {
	const { config } = await write("Config/UpdateMemoryConfig", request);
	const undo = async () => {
		await write("Config/UpdateMemoryConfig", { ...request, settings: before, etag: config.etag });
		notice("What was configured before is back");
		if (route().path[0] === "configuration") await reload();
	};
	notice(`Saved · revision ${config.configRevision}`, undo);
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
