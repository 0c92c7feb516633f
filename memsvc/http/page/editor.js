/** Adding and editing a memory. Where somebody else changed it meanwhile, both are shown. */

import { addMemory, updateMemory } from "./actions.js";
import { button, choice, field, input, textarea } from "./controls.js";
import { openForm } from "./dialogs.js";
import { h, put, said } from "./dom.js";
import { LAYERS, MEANINGS, TRUSTS, word } from "./format.js";

const POLARITIES = [["", "neither"], ["POLARITY_POSITIVE", "It worked"], ["POLARITY_NEGATIVE", "It did not"]];
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
			if (!memory) return addMemory(user, edited);
			const mask = Object.keys(FIELDS).filter((name) => differs(edited[name], base[name]));
			if (!mask.length) return undefined;
			try {
				const changed = Object.fromEntries(mask.map((name) => [name, edited[name]]).filter(([, value]) => value !== undefined));
				return await updateMemory(user, { memoryId: base.memoryId, etag: base.etag, ...changed }, mask);
			} catch (error) {
				if (error.reason !== "ETAG_MISMATCH") throw error;
				const { memory: theirs } = await user.call("Memory/GetMemory", { memoryId: base.memoryId });
				showBoth(conflict, base, theirs, edited, inputs);
				base = theirs;
				return false;
			}
		},
	});
}

function inputsOf(memory, isOld) {
	const layers = LAYERS.map((layer) => [layer, `${word(layer)}: ${MEANINGS[layer].toLowerCase()}`]);
	const inputs = {
		layer: choice(layers, memory.layer, { disabled: isOld }),
		text: textarea(4, { value: memory.text ?? "", autofocus: true }),
		key: input({ value: memory.key ?? "", disabled: isOld }),
		valueJson: textarea(2, { value: memory.valueJson ?? "", spellcheck: "false", class: "code" }),
		topics: input({ value: (memory.topics ?? []).join(", ") }),
		trust: choice(TRUSTS, memory.trust ?? "TRUST_STATED"),
		polarity: choice(POLARITIES, memory.polarity ?? ""),
		expireTime: h("input", { type: "datetime-local", value: local(memory.expireTime) }),
	};
	for (const [name, control] of Object.entries(inputs)) control.dataset.field = FIELDS[name] ?? name;
	return inputs;
}

function rows(inputs, isOld) {
	return [
		field("Layer", inputs.layer),
		field("Text", inputs.text, "One sentence that says it all; a memory with a key may have a value alone."),
		field("Key", inputs.key, isOld ? "A memory keeps its layer and its key." : "Optional: its place in the document, such as stack.languages"),
		field("Value", inputs.valueJson, "JSON, for a memory with a key: \"Lisbon\", 42, [\"a\", \"b\"]"),
		field("Topics", inputs.topics, "Short labels, with commas between them"),
		h("div.columns", field("Trust", inputs.trust), field("Polarity, of feedback", inputs.polarity), field("Expires", inputs.expireTime)),
	];
}

/** Returns what was typed; what is empty is undefined. */
function read({ layer, text, key, valueJson, topics, trust, polarity, expireTime }) {
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
	// The field for a time knows no seconds.
	const isTime = [edited, stored].every((each) => /^\d{4}-\d\d-\d\dT/.test(each));
	return isTime ? local(edited) !== local(stored) : JSON.stringify(edited) !== JSON.stringify(stored);
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
	const take = (name) => {
		const value = theirs[name] ?? "";
		inputs[name].value = name === "expireTime" ? local(value) : [value].flat().join(", ");
	};
	put(
		place,
		h("div.conflict", { role: "alert" },
			h("p", h("strong", "Somebody changed this memory meanwhile."), " Nothing was saved. Take what is theirs, or save once more to put yours over it."),
			h("table",
				h("thead", h("tr", ["", "Theirs", "Yours", ""].map((name) => h("th", { scope: "col" }, name)))),
				h("tbody", names.map((name) => h("tr",
					h("th", { scope: "row" }, FIELDS[name].replace("_json", "").replace("_", " ")), h("td", shown(theirs[name])), h("td", shown(mine[name])),
					h("td", button("Take theirs", () => take(name))),
				))),
			),
		),
	);
}
