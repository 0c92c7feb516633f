/** A message of a conversation: what was said is open, what tools were told and answered is folded. */

import { h, said } from "./dom.js";
import { pretty, time, word } from "./format.js";

const LONG = 2000;

export function messageBlock(message) {
	const who = message.name || message.authorId;
	return h(`div.message.${message.role}`,
		h("p.meta", h("strong", word(message.role)), who && said(who, "span.muted"), message.time && h("span.muted", time(message.time))),
		(message.parts ?? []).map(partOf),
	);
}

function partOf({ text, toolCall, toolResult, media, provider }) {
	if (text) return long(text.text ?? "");
	if (toolCall) {
		return folded(["Calls ", said(toolCall.name, "strong")], said(pretty(toolCall.argumentsJson || "{}"), "pre"));
	}
	if (toolResult) {
		return folded([toolResult.isError ? "The tool failed" : "The tool answered"], (toolResult.parts ?? []).map(partOf));
	}
	// An address is shown and never followed: it may lead anywhere.
	if (media) return h("p", h("span.chip", said(media.mimeType || "media")), said(media.caption ?? ""), " ", said(media.uri ?? "", "code"));
	return folded(["In the form of ", said(provider?.provider || "its provider", "strong")], said(pretty(provider?.json ?? ""), "pre"));
}

function long(text) {
	if (text.length <= LONG) return said(text, "p");
	return h("details.folded", h("summary", said(`${text.slice(0, 200)}…`)), said(text, "p"));
}

function folded(summary, body) {
	return h("details.folded", h("summary", summary), body);
}
