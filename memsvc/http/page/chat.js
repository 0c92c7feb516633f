/** Talking to memsvc as a user would, to see what it learns; where the page has a model beside it, that answers. */

import { call, write } from "./api.js";
import { h, put, said } from "./dom.js";
import { follow, watched } from "./following.js";
import { answer } from "./answering.js";
import { messageOf, titleOf } from "./states.js";

const HISTORY_RUNS = 20;

export function chatBox(user, signal) {
	const sessionId = `page-${new Date().toISOString().slice(0, 19)}`;
	const log = h("div.chat-log", { role: "log", "aria-label": "Conversation", tabindex: "0" });
	const line = h("textarea", { rows: "2", dir: "auto", "aria-label": "Say something", placeholder: "I moved to Lisbon last week." });
	const button = h("button", { type: "submit", class: "primary" }, "Say it");
	const put_ = (role, text) => {
		log.append(h("p", { class: `message ${role}` }, h("strong", role === "ROLE_USER" ? "You" : "Agent"), " ", said(text)));
		log.scrollTop = log.scrollHeight;
	};
	async function say(event) {
		event.preventDefault();
		const text = line.value.trim();
		if (!text || button.disabled) return;
		line.value = "";
		button.disabled = true;
		put_("ROLE_USER", text);
		try {
			// Stored before a model is asked: what was said stays, whatever becomes of the answer.
			const run = await write("SessionService/AppendRun", { scope: user.scope, run: runOf(sessionId, "ROLE_USER", text) });
			const request = { scope: user.scope, query: text, agentId: "page", history: { sessionId, lastRuns: HISTORY_RUNS } };
			const context = await call("ContextService/CompileContext", request, { signal });
			await Promise.all([reply(context), learned(run.extractionId)]);
		} catch (error) {
			if (!signal.aborted) log.append(h("p.field-error", `${titleOf(error)}. ${messageOf(error)}`));
		} finally {
			button.disabled = false;
			line.focus();
		}
	}
	async function reply({ text, history = [] }) {
		const said_ = await answer({ context: text ?? "", messages: history }, signal);
		if (!said_) return;
		put_("ROLE_ASSISTANT", said_);
		await write("SessionService/AppendRun", { scope: user.scope, run: runOf(sessionId, "ROLE_ASSISTANT", said_), learningMode: "LEARNING_MODE_OFF" });
	}
	async function learned(extractionId) {
		if (!extractionId) return;
		const place = h("div.taught");
		log.append(place);
		await follow(user, place, () => watched(user, extractionId, "", signal), signal);
		log.scrollTop = log.scrollHeight;
	}
	line.addEventListener("keydown", (event) => {
		if (event.key === "Enter" && !event.shiftKey && !event.isComposing) say(event);
	});
	const who = h("p.hint", "What you say is stored as this user's, in a conversation of its own, and learned from.");
	const box = h("section.panel", h("h2", "Try it"), who, log, h("form.form", { onsubmit: say }, line, h("div.actions", button)));
	answer(null, signal).then((model) => {
		put(who, who.textContent, model ? ` ${model} answers.` : " Nobody answers: start `memsvc ui` with a model for that.");
	}, () => {});
	return box;
}

function runOf(sessionId, role, text) {
	return { sessionId, agentId: "page", messages: [{ role, parts: [{ text: { text } }] }] };
}
