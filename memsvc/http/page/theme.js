/** Light or dark: as the reader's system has it, or as the switch says, for as long as the page is open. */

import { button } from "./controls.js";
import { put } from "./dom.js";

const dark = matchMedia("(prefers-color-scheme: dark)");

export function themeSwitch() {
	const root = document.documentElement.dataset;
	const isDark = () => (root.theme ?? (dark.matches ? "dark" : "light")) === "dark";
	const label = () => {
		put(element, isDark() ? "☀" : "☾");
		element.setAttribute("aria-label", isDark() ? "Use light colours" : "Use dark colours");
	};
	const turn = () => {
		root.theme = isDark() ? "light" : "dark";
		label();
	};
	const element = button("", turn, "quiet icon");
	dark.addEventListener("change", label);
	label();
	return element;
}
