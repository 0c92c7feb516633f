/** The settings of memory as a form: what is not set here says nothing, and the next level is heard. */

import { choice, field } from "./dialogs.js";
import { h } from "./dom.js";
import { LAYERS, word } from "./format.js";

const MODES = ["AUTOMATIC", "OFF", "AGENTIC", "BOTH"].map((name) => `LEARNING_MODE_${name}`);
const SWITCHES = [["learned", "Learned"], ["shown", "Shown"], ["statedOnly", "Only what was stated"]];
const TEXTS = [["prompt", "What to learn (replaces the layer's own description)"], ["captureInstructions", "What a model is told besides"], ["schemaJson", "JSON Schema of its keys"]];
const OPERATIONS = [["add", "Add"], ["update", "Change"], ["delete", "Delete"], ["clear", "Delete all at once"]];
const KEPT = [["runs", "Conversations"], ["history", "What changed"], ["endedExtractions", "Ended extractions"], ["consolidationInterval", "Tidy so long after a change"]];

/** Returns the form's element, and `read()`, which returns the settings. `inForce`: what holds where nothing is set. */
export function settingsForm(settings, inForce, { ofAgent }) {
	const readers = [];
	const part = (name, make) => {
		const inner = [];
		const element = make(settings[name] ?? {}, inForce[name] ?? {}, inner);
		readers.push((into) => {
			const read = {};
			for (const each of inner) each(read);
			if (Object.keys(read).length) into[name] = read;
		});
		return element;
	};
	const layers = LAYERS.map((layer) => {
		const name = layer.replace("LAYER_", "").toLowerCase();
		return part(name, (own, held, inner) => h("details", { class: `panel card ${layer}`, open: Object.keys(own).length > 0 },
			h("summary", h("h2", word(layer))),
			h("div.columns", SWITCHES.map(([each, label]) => flag(label, each, own, held, inner))),
			TEXTS.map(([each, label]) => text(label, each, own, inner))));
	});
	const element = h("div.stack",
		h("div.panel.form",
			h("div.columns", flag("Memory", "enabled", settings, inForce, readers, ["On", "Off"]), mode(settings, inForce, readers)),
			text("What a model that learns is told besides, for all layers", "captureInstructions", settings, readers)),
		layers,
		h("div.panel.form", h("h2", "What models may do"),
			part("operations", (own, held, inner) => h("div.columns", OPERATIONS.map(([each, label]) => flag(label, each, own, held, inner))))),
		ofAgent ? null : h("div.panel.form", h("h2", "How long things are kept"),
			h("p.hint", "In days. Empty: for ever; tidying: only when asked for."),
			part("retention", (own, held, inner) => h("div.columns", KEPT.map(([each, label]) => days(label, each, own, inner))))),
	);
	const read = () => {
		const into = {};
		for (const each of readers) each(into);
		return into;
	};
	return { element, read };
}

function flag(label, name, own, held, readers, words = ["Yes", "No"]) {
	const heard = held[name] === undefined ? "" : ` (${held[name] ? words[0].toLowerCase() : words[1].toLowerCase()})`;
	const isSet = own[name] !== undefined;
	const input = choice([["", `As elsewhere${isSet ? "" : heard}`], ["true", words[0]], ["false", words[1]]], isSet ? String(own[name]) : "", { "data-field": name });
	readers.push((into) => {
		if (input.value) into[name] = input.value === "true";
	});
	return field(label, input);
}

function mode(own, held, readers) {
	const heard = own.mode ? "" : ` (${word(held.mode).toLowerCase()})`;
	const input = choice([["", `As elsewhere${heard}`], ...MODES.map((each) => [each, word(each)])], own.mode ?? "", { "data-field": "mode" });
	readers.push((into) => {
		if (input.value) into.mode = input.value;
	});
	return field("Mode", input);
}

function text(label, name, own, readers) {
	const isJson = name === "schemaJson";
	const input = h("textarea", { rows: isJson ? "5" : "2", value: own[name] ?? "", dir: "auto", class: isJson ? "code" : null, spellcheck: isJson ? "false" : null, "data-field": isJson ? "schema_json" : name });
	const problem = h("p.field-error", { role: "alert" });
	if (isJson) input.addEventListener("input", () => (problem.textContent = wrongWith(input.value)));
	readers.push((into) => {
		if (input.value || own[name] === "") into[name] = input.value;
	});
	return h("div", field(label, input), isJson ? problem : null);
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
	const input = h("input", { type: "number", min: "0", step: "any", value: own[name] ? String(parseFloat(own[name]) / 86_400) : "", "data-field": name });
	readers.push((into) => {
		if (input.value !== "") into[name] = `${Math.round(Number(input.value) * 86_400)}s`;
	});
	return field(label, input);
}
