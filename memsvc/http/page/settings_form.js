/** The settings of memory as a form: what is not set here says nothing, and the next level is heard. */

import { choice, field, input, textarea } from "./controls.js";
import { h } from "./dom.js";
import { LAYERS, word } from "./format.js";

const MODES = ["AUTOMATIC", "OFF", "AGENTIC", "BOTH"].map((name) => `LEARNING_MODE_${name}`).map((name) => [name, word(name)]);
const SWITCHES = [["learned", "Learned"], ["shown", "Shown"], ["statedOnly", "Only what was stated"]];
const TEXTS = [["prompt", "What to learn (replaces the layer's own description)"], ["captureInstructions", "What a model is told besides"]];
const OPERATIONS = [["add", "Add"], ["update", "Change"], ["delete", "Delete"], ["clear", "Delete all at once"]];
const KEPT = [["runs", "Conversations"], ["history", "What changed"], ["endedExtractions", "Ended extractions"], ["consolidationInterval", "Tidy so long after a change"]];
const DAY = 86_400;

/** Returns the form's element, and `read()`, which returns the settings. `inForce`: what holds where nothing is set. */
export function settingsForm(settings, inForce, { ofAgent }) {
	const readers = [];
	const part = (name, make) => {
		const inner = [];
		const element = make(settings[name] ?? {}, inForce[name] ?? {}, inner);
		readers.push((into) => {
			const read = readAll(inner);
			if (Object.keys(read).length) into[name] = read;
		});
		return element;
	};
	const layers = LAYERS.map((layer) =>
		part(layer.replace("LAYER_", "").toLowerCase(), (own, held, inner) => h(`details.panel.card.${layer}`, { open: Object.keys(own).length > 0 },
			h("summary", h("h2", word(layer))),
			h("div.columns", SWITCHES.map(([each, label]) => flag(label, each, own, held, inner))),
			TEXTS.map(([each, label]) => text(label, each, own, inner)),
			schema(own, inner))));
	const element = h("div.stack",
		h("div.panel.form",
			h("div.columns", flag("Memory", "enabled", settings, inForce, readers, ["On", "Off"]), levelled("Mode", "mode", MODES, settings, inForce, readers, (name) => name)),
			text("What a model that learns is told besides, for all layers", "captureInstructions", settings, readers)),
		layers,
		h("div.panel.form", h("h2", "What models may do"),
			part("operations", (own, held, inner) => h("div.columns", OPERATIONS.map(([each, label]) => flag(label, each, own, held, inner))))),
		!ofAgent && h("div.panel.form", h("h2", "How long things are kept"),
			h("p.hint", "In days. Empty: for ever; tidying: only when asked for."),
			part("retention", (own, _, inner) => h("div.columns", KEPT.map(([each, label]) => days(label, each, own, inner))))),
	);
	return { element, read: () => readAll(readers) };
}

function readAll(readers) {
	const into = {};
	for (const each of readers) each(into);
	return into;
}

/** Returns a field's name as the server writes it when it is wrong. */
function snake(name) {
	return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

function flag(label, name, own, held, readers, words = ["Yes", "No"]) {
	const options = [["true", words[0]], ["false", words[1]]];
	return levelled(label, name, options, own, held, readers, (value) => value === "true");
}

/** Returns a choice that may be left to the next level; what that says stands beside it. */
function levelled(label, name, options, own, held, readers, read) {
	const isSet = own[name] !== undefined;
	const [, heard = ""] = options.find(([value]) => value === String(held[name])) ?? [];
	const elsewhere = `As elsewhere${isSet || !heard ? "" : ` (${heard.toLowerCase()})`}`;
	const made = choice([["", elsewhere], ...options], isSet ? String(own[name]) : "", { "data-field": snake(name) });
	readers.push((into) => {
		if (made.value) into[name] = read(made.value);
	});
	return field(label, made);
}

function text(label, name, own, readers, attributes = {}) {
	const made = textarea(2, { value: own[name] ?? "", "data-field": snake(name), ...attributes });
	readers.push((into) => {
		if (made.value || own[name] === "") into[name] = made.value;
	});
	return field(label, made);
}

function schema(own, readers) {
	const problem = h("p.field-error", { role: "alert" });
	const oninput = (event) => (problem.textContent = wrongWith(event.target.value));
	const attributes = { rows: 5, class: "code", spellcheck: "false", oninput };
	return h("div", text("JSON Schema of its keys", "schemaJson", own, readers, attributes), problem);
}

function wrongWith(json) {
	if (!json.trim()) return "";
	try {
		const read = JSON.parse(json);
		return read !== null && typeof read === "object" && !Array.isArray(read) ? "" : "A schema is a JSON object.";
	} catch (error) {
		return `This is no JSON yet: ${error.message}`;
	}
}

function days(label, name, own, readers) {
	const made = input({ type: "number", min: "0", step: "any", value: own[name] ? String(parseFloat(own[name]) / DAY) : "", "data-field": snake(name) });
	readers.push((into) => {
		if (made.value !== "") into[name] = `${Math.round(Number(made.value) * DAY)}s`;
	});
	return field(label, made);
}
