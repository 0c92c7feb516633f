/** Two texts, line by line: what goes and what comes. */

import { h } from "./dom.js";

/** Returns the lines of both, each after "=", "-" or "+". */
function diffLines(before, after) {
	const [old, now] = [before.split("\n"), after.split("\n")];
	const longest = Array.from({ length: old.length + 1 }, () => new Uint32Array(now.length + 1));
	for (let i = old.length - 1; i >= 0; i--) {
		for (let j = now.length - 1; j >= 0; j--) {
			longest[i][j] = old[i] === now[j] ? longest[i + 1][j + 1] + 1 : Math.max(longest[i + 1][j], longest[i][j + 1]);
		}
	}
	const lines = [];
	for (let i = 0, j = 0; i < old.length || j < now.length; ) {
		if (i < old.length && j < now.length && old[i] === now[j]) lines.push(["=", old[i++], now[j++]]);
		else if (i < old.length && (j === now.length || longest[i + 1][j] >= longest[i][j + 1])) lines.push(["-", old[i++]]);
		else lines.push(["+", now[j++]]);
	}
	return lines;
}

/** Returns the difference as it is shown; null: there is none. */
export function diffBlock(before, after) {
	const lines = diffLines(before, after);
	if (lines.every(([sign]) => sign === "=")) return null;
	const tag = { "=": "span", "-": "del", "+": "ins" };
	return h("pre.diff", { tabindex: "0", "aria-label": "What changes" }, lines.map(([sign, line]) => h(tag[sign], { dir: "auto" }, `${sign === "=" ? " " : sign} ${line}\n`)));
}
