/** The context that an agent would get: what went in, section by section, and what was cut. */

import { chatBox } from "./chat.js";
import { choice, field, form, input, isTicked, link, textarea, tick } from "./controls.js";
import { h, put, said } from "./dom.js";
import { count, countMemories, layerName, LAYERS, word } from "./format.js";
import { route } from "./router.js";
import { facts, failure, loading } from "./states.js";

const FORMATS = [["XML", "XML"], ["MARKDOWN", "Markdown"], ["JSON", "JSON"]].map(([name, shown]) => [`CONTEXT_FORMAT_${name}`, shown]);
const REASONS = { CUT_REASON_BUDGET: "did not fit the budget", CUT_REASON_OUTRANKED: "something explicit says otherwise" };

export function contextView({ user, signal }) {
	const inputs = {
		query: textarea(2, { placeholder: "Where should we eat on Friday?", autofocus: true }),
		format: choice(FORMATS, FORMATS[0][0]),
		limit: input({ type: "number", min: "50", max: "1000000", value: "8000" }),
		unit: choice([["maxCharacters", "characters"], ["maxTokens", "tokens"]], "maxCharacters"),
		session: input({ placeholder: "none" }),
		agent: input({ placeholder: "any" }),
		recall: choice([["", "As configured"], ["true", "Yes"], ["false", "No"]], ""),
		wrapper: tick("Wrapper", true),
		layers: LAYERS.map((layer) => [layer, tick(word(layer), true)]),
	};
	const result = h("div", { "aria-live": "polite" }, loading(6));
	let asked = 0;
	const compile = async () => {
		const turn = ++asked;
		try {
			const reply = await user.call("Context/CompileContext", requestOf(inputs), signal);
			if (turn === asked) put(result, shown(reply));
		} catch (error) {
			if (turn === asked && !signal.aborted) put(result, failure(error, compile));
		}
	};
	compile();
	const asking = form("form panel", compile,
		field("What the user just said", inputs.query),
		h("div.columns",
			field("Format", inputs.format), field("Budget", inputs.limit), field("In", inputs.unit), field("History of session", inputs.session),
			field("Agent that asks", inputs.agent), field("Passages of the past", inputs.recall)),
		h("div.picks", inputs.layers.map(([, each]) => each), inputs.wrapper),
	);
	asking.addEventListener("input", user.live.afterChanges(compile, signal));
	return h("div.scroll", h("div.halves", h("div.stack", asking, chatBox(user, signal)), result));
}

function requestOf(inputs) {
	const layers = inputs.layers.filter(([, each]) => isTicked(each)).map(([layer]) => layer);
	const sessionId = inputs.session.value.trim();
	return {
		query: inputs.query.value,
		format: inputs.format.value,
		wrapper: isTicked(inputs.wrapper),
		agentId: inputs.agent.value.trim(),
		budget: { [inputs.unit.value]: Number(inputs.limit.value) },
		...(layers.length < LAYERS.length && { layers: layers.length ? layers : [LAYERS[0]] }),
		...(sessionId && { history: { sessionId } }),
		...(inputs.recall.value && { recall: inputs.recall.value === "true" }),
	};
}

function shown(reply) {
	const { sections = [], cuts = [], memoryIds = [], text = "", history = [] } = reply;
	return h("div.stack",
		facts([
			["Memories", count(memoryIds.length)], ["Characters", count(Array.from(text).length)], ["Tokens", `${count(reply.tokens)} (${reply.tokenCounter})`],
			["Cut", count(cuts.reduce((sum, cut) => sum + (cut.memoryCount ?? 0), 0))], ["Not learned yet", count(reply.pendingRunCount)], ["Messages of history", count(history.length)],
		]),
		h("div.panel.sections", sections.length ? sections.map(sectionOf) : h("p.muted", "The context is empty: there is nothing to show.")),
		cuts.length > 0 && h("section.panel", h("h2", "Left out"), h("ul.lines", cuts.map(cutOf))),
	);
}

function sectionOf({ kind, layer = "", tokens, stable, sharedUserId, text = "" }) {
	return h(`section.section.${layer}`,
		h("p.meta", layer ? layerName(layer) : h("span.muted", word(kind)), h("span.muted", count(tokens, "token")),
			stable && h("span.chip", { title: "It does not depend on the query: a provider's prompt cache holds it" }, "stable"),
			sharedUserId && said(sharedUserId, "span.chip")),
		said(text.replace(/\n$/, ""), "pre"));
}

function cutOf({ layer, reason, memoryCount, memoryIds = [] }) {
	return h("li", layerName(layer), ` ${countMemories(memoryCount)} ${REASONS[reason] ?? word(reason)} `,
		memoryIds.slice(0, 10).map((m, at) => [link(route().path, `${at + 1}`, { m }), " "]));
}
