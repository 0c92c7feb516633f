/** JSON as a tree that can be folded. */

import { h, said } from "./dom.js";
import { count } from "./format.js";

const MOST = 100;

export function tree(value, depth = 0) {
	if (value === null || typeof value !== "object") return leaf(value);
	const entries = Array.isArray(value) ? value.map((each) => ["", each]) : Object.entries(value);
	if (!entries.length) return h("span.muted", Array.isArray(value) ? "none" : "empty");
	if (Array.isArray(value) && entries.every(([, each]) => typeof each !== "object") && entries.join("").length < 80) {
		return said(value.join(", "));
	}
	return h("ul.tree", entries.slice(0, MOST).map(([name, each]) => branch(name, each, depth)), rest(entries));
}

function branch(name, value, depth) {
	const label = name && said(name, "span.tree-key");
	const isDeep = value !== null && typeof value === "object" && Object.keys(value).length > 0;
	if (!isDeep || !name) return h("li", label, " ", tree(value, depth + 1));
	const size = Object.keys(value).length;
	return h("li", h("details", { open: depth < 2 && size <= MOST }, h("summary", label, h("span.muted", ` ${count(size)}`)), tree(value, depth + 1)));
}

function leaf(value) {
	return typeof value === "string" ? said(value) : h("code", String(value));
}

function rest(entries) {
	return entries.length > MOST && h("li.muted", `and ${count(entries.length - MOST)} more`);
}
