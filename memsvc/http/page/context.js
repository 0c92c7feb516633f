/** The context that an agent would get: what went in, section by section, and what was cut. */

import { call } from "./api.js";
import { chatBox } from "./chat.js";
import { choice, field, tick } from "./dialogs.js";
import { h, put, said } from "./dom.js";
import { count, layerName, LAYERS, word } from "./format.js";
import { href, route } from "./router.js";
import { failure, loading } from "./states.js";

const FORMATS = ["XML", "MARKDOWN", "JSON"].map((name) => [`CONTEXT_FORMAT_${name}`, name === "MARKDOWN" ? "Markdown" : name]);
const REASONS = { CUT_REASON_BUDGET: "did not fit the budget", CUT_REASON_OUTRANKED: "something explicit says otherwise" };
const AFTER = 300;

export function contextView({ user, signal }) {
	const inputs = {
		query: h("textarea", { rows: "2", dir: "auto", placeholder: "Where should we eat on Friday?", autofocus: true }),
		format: choice(FORMATS, FORMATS[0][0]),
		limit: h("input", { type: "number", min: "50", max: "1000000", value: "8000" }),
		unit: choice([["maxCharacters", "characters"], ["maxTokens", "tokens"]], "maxCharacters"),
		session: h("input", { dir: "auto", autocomplete: "off", placeholder: "none" }),
		agent: h("input", { dir: "auto", autocomplete: "off", placeholder: "any" }),
		recall: choice([["", "As configured"], ["true", "Yes"], ["false", "No"]], ""),
		wrapper: h("input", { type: "checkbox", checked: true }),
		layers: LAYERS.map((layer) => [layer, tick(word(layer), true, { name: layer })]),
	};
	const result = h("div", { "aria-live": "polite" });
	let asked = 0;
	const compile = async () => {
		const turn = ++asked;
		if (!result.firstChild) put(result, loading(6));
		try {
			const reply = await call("ContextService/CompileContext", requestOf(user, inputs), { signal });
			if (turn === asked) put(result, shown(user, reply));
		} catch (error) {
			if (turn === asked && !signal.aborted) put(result, failure(error, compile));
		}
	};
	let planned = 0;
	const soon = () => {
		clearTimeout(planned);
		planned = setTimeout(compile, AFTER);
	};
	user.live.on(({ commit, missed }) => (commit || missed) && soon(), signal);
	compile();
	const form = h("form.form.panel", { oninput: soon, onsubmit: (event) => (event.preventDefault(), compile()) },
		field("What the user just said", inputs.query),
		h("div.columns",
			field("Format", inputs.format), field("Budget", inputs.limit), field("In", inputs.unit), field("History of session", inputs.session),
			field("Agent that asks", inputs.agent), field("Passages of the past", inputs.recall)),
		h("div.picks", inputs.layers.map(([, each]) => each), h("label.tick", inputs.wrapper, h("span", "Wrapper"))),
	);
	return h("div.scroll", h("div.halves", h("div.stack", form, chatBox(user, signal)), result));
}

function requestOf(user, inputs) {
	const layers = inputs.layers.filter(([, each]) => each.querySelector("input").checked).map(([layer]) => layer);
	const session = inputs.session.value.trim();
	return {
		scope: user.scope,
		query: inputs.query.value,
		format: inputs.format.value,
		wrapper: inputs.wrapper.checked,
		agentId: inputs.agent.value.trim(),
		budget: { [inputs.unit.value]: Number(inputs.limit.value) },
		...(layers.length < LAYERS.length ? { layers: layers.length ? layers : [LAYERS[0]] } : {}),
		...(session ? { history: { sessionId: session } } : {}),
		...(inputs.recall.value ? { recall: inputs.recall.value === "true" } : {}),
	};
}

function shown(user, reply) {
	const { sections = [], cuts = [], memoryIds = [], text = "", history = [] } = reply;
	const facts = [
		["Memories", count(memoryIds.length)], ["Characters", count(Array.from(text).length)], ["Tokens", `${count(reply.tokens)} (${reply.tokenCounter})`],
		["Cut", count(cuts.reduce((sum, cut) => sum + (cut.memoryCount ?? 0), 0))], ["Not learned yet", count(reply.pendingRunCount)], ["Messages of history", count(history.length)],
	];
	return h("div.stack",
		h("dl.facts.panel", facts.map(([name, value]) => h("div", h("dt", name), h("dd", value)))),
		sections.length
			? h("div.panel.sections", sections.map(sectionOf))
			: h("div.panel", h("p.muted", "The context is empty: there is nothing to show.")),
		cuts.length ? h("section.panel", h("h2", "Left out"), h("ul.lines", cuts.map((cut) => cutOf(user, cut)))) : null,
	);
}

function sectionOf(section) {
	const name = section.kind === "CONTEXT_SECTION_KIND_MEMORIES" ? word(section.layer) : word(section.kind);
	return h("section", { class: `section ${section.layer ?? ""}` },
		h("p.meta", h("span", { class: section.layer ? `layer ${section.layer}` : "muted" }, name), h("span.muted", count(section.tokens, "token")),
			section.stable ? h("span.chip", { title: "It does not depend on the query: a provider's prompt cache holds it" }, "stable") : null,
			section.sharedUserId ? said(section.sharedUserId, "span.chip") : null),
		said((section.text ?? "").replace(/\n$/, ""), "pre"));
}

function cutOf(user, { layer, reason, memoryCount, memoryIds = [] }) {
	const { path } = route();
	return h("li", layerName(layer), ` ${count(memoryCount, "memory", "memories")} ${REASONS[reason] ?? word(reason)} `,
		memoryIds.slice(0, 10).map((m, at) => [h("a", { href: href(path, { m }) }, `${at + 1}`), " "]));
}
