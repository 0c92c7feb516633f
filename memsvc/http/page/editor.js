/** Adding and editing a memory. Where somebody else changed it meanwhile, both are shown. */

import { addMemory, updateMemory } from "./actions.js";
import { call } from "./api.js";
import { choice, field, openForm } from "./dialogs.js";
import { h, put, said } from "./dom.js";
import { LAYERS, MEANINGS, word } from "./format.js";

const POLARITIES = [["", "neither"], ["POLARITY_POSITIVE", "It worked"], ["POLARITY_NEGATIVE", "It did not"]];
const TRUSTS = ["TRUST_STATED", "TRUST_INFERRED", "TRUST_FROM_TOOL", "TRUST_IMPORTED"].map((each) => [each, word(each)]);
const FIELDS = { text: "text", valueJson: "value_json", topics: "topics", trust: "trust", polarity: "polarity", expireTime: "expire_time" };

/** Opens the form; without a memory it adds one. */
export function editMemory(user, memory = null) {
	let base = memory ?? { layer: "LAYER_KNOWLEDGE", trust: "TRUST_STATED" };
	const inputs = inputsOf(base, memory !== null);
	const conflict = h("div");
	openForm(memory ? "Edit memory" : "Add memory", [conflict, rows(inputs, memory !== null)], {
		action: "Save",
		submit: async () => {
			const edited = read(inputs);
			if (!memory) return void (await addMemory(user, edited));
			const mask = Object.keys(FIELDS).filter((name) => differs(edited[name], base[name]));
			if (!mask.length) return undefined;
			try {
				const changed = Object.fromEntries(mask.map((name) => [name, edited[name]]).filter(([, value]) => value !== undefined));
				await updateMemory(user, { memoryId: base.memoryId, etag: base.etag, ...changed }, mask);
				return undefined;
			} catch (error) {
				if (error.reason !== "ETAG_MISMATCH") throw error;
				const theirs = (await call("MemoryService/GetMemory", { scope: user.scope, memoryId: base.memoryId })).memory;
				showBoth(conflict, base, theirs, edited, inputs);
				base = theirs;
				return false;
			}
		},
	});
}

function inputsOf(memory, isOld) {
	return {
		layer: choice(LAYERS.map((layer) => [layer, `${word(layer)}: ${MEANINGS[layer].toLowerCase()}`]), memory.layer, { disabled: isOld, "data-field": "layer" }),
		text: h("textarea", { rows: "4", dir: "auto", value: memory.text ?? "", autofocus: true, "data-field": "text" }),
		key: h("input", { value: memory.key ?? "", disabled: isOld, spellcheck: "false", autocomplete: "off", "data-field": "key" }),
		valueJson: h("textarea", { rows: "2", value: memory.valueJson ?? "", spellcheck: "false", class: "code", dir: "auto", "data-field": "value_json" }),
		topics: h("input", { value: (memory.topics ?? []).join(", "), dir: "auto", "data-field": "topics" }),
		trust: choice(TRUSTS, memory.trust ?? "TRUST_STATED", { "data-field": "trust" }),
		polarity: choice(POLARITIES, memory.polarity ?? "", { "data-field": "polarity" }),
		expireTime: h("input", { type: "datetime-local", value: local(memory.expireTime), "data-field": "expire_time" }),
	};
}

function rows(inputs, isOld) {
	const key = field("Key", inputs.key, isOld ? "A memory keeps its layer and its key." : "Optional: its place in the document, such as stack.languages");
	return [
		field("Layer", inputs.layer),
		field("Text", inputs.text, "One sentence that says it all; a memory with a key may have a value alone."),
		key,
		field("Value", inputs.valueJson, "JSON, for a memory with a key: \"Lisbon\", 42, [\"a\", \"b\"]"),
		field("Topics", inputs.topics, "Short labels, with commas between them"),
		h("div.columns", field("Trust", inputs.trust), field("Polarity", inputs.polarity, "Of feedback"), field("Expires", inputs.expireTime)),
	];
}

function read(inputs) {
	const { layer, text, key, valueJson, topics, trust, polarity, expireTime } = inputs;
	const labels = topics.value.split(",").map((each) => each.trim()).filter(Boolean);
	return {
		layer: layer.value,
		text: text.value || undefined,
		key: key.value.trim() || undefined,
		valueJson: valueJson.value.trim() || undefined,
		topics: labels.length ? labels : undefined,
		trust: trust.value,
		polarity: polarity.value || undefined,
		expireTime: expireTime.value ? new Date(expireTime.value).toISOString() : undefined,
	};
}

function differs(edited, stored) {
	if (edited === undefined || stored === undefined) return edited !== stored;
	if (Array.isArray(edited)) return JSON.stringify(edited) !== JSON.stringify(stored);
	// The field for a time knows no seconds.
	const isTime = /^\d{4}-\d\d-\d\dT/.test(edited) && /^\d{4}-\d\d-\d\dT/.test(stored);
	return isTime ? local(edited) !== local(stored) : edited !== stored;
}

function local(stamp) {
	if (!stamp) return "";
	const moment = new Date(stamp);
	return new Date(moment.getTime() - moment.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
}

/** Says that somebody was faster, and shows what they and the reader made of each field. */
function showBoth(place, base, theirs, mine, inputs) {
	const names = Object.keys(FIELDS).filter((name) => differs(theirs[name], base[name]) || differs(mine[name], base[name]));
	const shown = (value) => (value === undefined ? h("span.muted", "none") : said([value].flat().join(", ")));
	const take = (name) => () => {
		const value = theirs[name];
		inputs[name].value = name === "expireTime" ? local(value) : Array.isArray(value) ? value.join(", ") : (value ?? "");
	};
	put(
		place,
		h("div.conflict", { role: "alert" },
			h("p", h("strong", "Somebody changed this memory meanwhile."), " Nothing was saved. Take what is theirs, or save once more to put yours over it."),
			h("table", null,
				h("thead", h("tr", ["", "Theirs", "Yours", ""].map((name) => h("th", { scope: "col" }, name)))),
				h("tbody", names.map((name) => h("tr", null,
					h("th", { scope: "row" }, FIELDS[name].replace("_json", "").replace("_", " ")), h("td", shown(theirs[name])), h("td", shown(mine[name])),
					h("td", h("button", { type: "button", onclick: take(name) }, "Take theirs")),
				))),
			),
		),
	);
}
