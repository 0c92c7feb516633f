/** Makes elements. What was stored goes in as text, never as markup. */

const PROPERTIES = new Set(["value", "checked", "disabled", "hidden", "open"]);
const SVG = "http://www.w3.org/2000/svg";

/**
 * Returns an element: `h("p.muted", { id: "note" }, "Some text")`. Attributes may be left out, and those that are null or
 * false are; functions named on… listen.
 */
export function h(name, ...given) {
	const [tag, ...classes] = name.split(".");
	const element = document.createElement(tag);
	if (classes.length) element.className = classes.join(" ");
	return filled(element, given);
}

export function svg(tag, ...given) {
	return filled(document.createElementNS(SVG, tag), given);
}

function filled(element, [first, ...others]) {
	const hasAttributes = first && Object.getPrototypeOf(first) === Object.prototype;
	const attributes = hasAttributes ? first : {};
	add(element, hasAttributes ? others : [first, ...others]);
	// After the children: an option is chosen only once it is there.
	for (const [name, value] of Object.entries(attributes)) {
		if (value === null || value === undefined) continue;
		if (typeof value === "function") element.addEventListener(name.slice(2), value);
		else if (PROPERTIES.has(name)) element[name] = value;
		else if (value !== false) element.setAttribute(name, value === true ? "" : value);
	}
	return element;
}

/** Adds children: elements, texts, lists of them; nothing for null and false. */
export function add(element, children) {
	for (const child of [children].flat(Infinity)) {
		if (child !== null && child !== undefined && child !== false) element.append(child);
	}
	return element;
}

export function put(element, ...children) {
	element.replaceChildren();
	return add(element, children);
}

/** Returns what somebody said, or a model wrote: isolated, in its own direction, with nothing invisible in it. */
export function said(text, name = "span") {
	return h(`${name}.said`, { dir: "auto" }, visible(text));
}

/** Returns a text with control characters shown as the signs that stand for them. */
export function visible(text) {
	return String(text ?? "")
		.replace(/[\u0000-\u0008\u000b-\u001f]/g, (sign) => String.fromCharCode(0x2400 + sign.charCodeAt(0)))
		.replace(/\u007f/g, "\u2421")
		.replace(/[\u0080-\u009f]/g, "\ufffd");
}

/** Returns the start of a text, in characters as people count them. */
export function start(text, length = 80) {
	const line = visible(text).replace(/\s+/g, " ");
	const signs = Array.from(line.slice(0, length * 4));
	return signs.length > length ? `${signs.slice(0, length).join("")}…` : line;
}

let last = 0;
/** Returns an id for an element that another one names. */
export function freshId(word = "id") {
	last += 1;
	return `${word}-${last}`;
}
