/** A small plot of what learning cost, day by day. */

import { h, svg } from "./dom.js";
import { count } from "./format.js";

const DAYS = 30;
const HEIGHT = 56;
const WIDTH = 12;

/** Returns the plot: tokens where a model was asked, else how many extractions there were. */
export function dayPlot(extractions) {
	const days = lastDays();
	const byDay = new Map(days.map((day) => [day, { tokens: 0, extractions: 0 }]));
	for (const { createTime, usage } of extractions) {
		const sum = byDay.get(dayOf(new Date(createTime)));
		if (!sum) continue;
		sum.extractions += 1;
		sum.tokens += (usage?.inputTokens ?? 0) + (usage?.outputTokens ?? 0);
	}
	const sums = [...byDay.values()];
	const unit = sums.some((sum) => sum.tokens) ? "tokens" : "extractions";
	const values = sums.map((sum) => sum[unit]);
	const most = Math.max(1, ...values);
	const total = values.reduce((sum, each) => sum + each, 0);
	const bars = values.map((value, at) => {
		const height = value ? Math.max(2, (value / most) * HEIGHT) : 1;
		const attributes = { x: at * WIDTH, y: HEIGHT - height, width: WIDTH - 3, height, class: value ? "bar" : "bar none" };
		return svg("rect", attributes, svg("title", `${days[at]}: ${count(value)} ${unit}`));
	});
	const words = `${count(total)} ${unit} in ${DAYS} days, at most ${count(Math.max(...values))} a day`;
	return h("figure.panel.plot",
		h("figcaption", h("strong", "Usage by day"), h("span.muted", ` ${words}`)),
		svg("svg", { viewBox: `0 0 ${DAYS * WIDTH} ${HEIGHT}`, role: "img", "aria-label": `Usage by day: ${words}`, preserveAspectRatio: "none" }, bars));
}

function lastDays() {
	const now = new Date();
	return Array.from({ length: DAYS }, (_, at) => dayOf(new Date(now.getFullYear(), now.getMonth(), now.getDate() - (DAYS - 1 - at))));
}

/** Returns a moment's day in the reader's zone; Swedes write it as ISO has it. */
function dayOf(moment) {
	return moment.toLocaleDateString("sv");
}
