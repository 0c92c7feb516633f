/** Light or dark: as the reader's system has it, or as the switch says, for as long as the page is open. */

import { h, put } from "./dom.js";

const dark = matchMedia("(prefers-color-scheme: dark)");

export function themeSwitch() {
	const button = h("button.quiet.icon", { onclick: turn });
	const isDark = () => (document.documentElement.dataset.theme ?? (dark.matches ? "dark" : "light")) === "dark";
	const label = () => {
		put(button, isDark() ? "☀" : "☾");
		button.setAttribute("aria-label", isDark() ? "Use light colours" : "Use dark colours");
	};
	function turn() {
		document.documentElement.dataset.theme = isDark() ? "light" : "dark";
		label();
	}
	dark.addEventListener("change", label);
	label();
	return button;
}
