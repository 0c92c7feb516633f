/** Talking to memsvc as a user would, to see what it learns; where the page has a model beside it, that answers. */

import { form, submitButton, textarea } from "./controls.js";
import { h, put, said } from "./dom.js";
import { follow } from "./following.js";
import { inWords } from "./states.js";

const HISTORY_RUNS = 20;
const LEARNS = "What you say is stored as this user's, in a conversation of its own, and learned from.";

export function chatBox(user, signal) {
	const sessionId = `page-${new Date().toISOString().slice(0, 19)}`;
	const log = h("div.chat-log", { role: "log", "aria-label": "Conversation", tabindex: "0" });
	const line = textarea(2, { "aria-label": "Say something", placeholder: "I moved to Lisbon last week." });
	const send = submitButton("Say it");
	const who = h("p.hint", LEARNS);
	const add = (element) => {
		log.append(element);
		log.scrollTop = log.scrollHeight;
	};
	const told = (role, text) => {
		add(h(`p.message.ROLE_${role}`, h("strong", role === "USER" ? "You" : "Agent"), " ", said(text)));
		return { sessionId, agentId: "page", messages: [{ role: `ROLE_${role}`, parts: [{ text: { text } }] }] };
	};
	async function say() {
		const text = line.value.trim();
		if (!text || send.disabled) return;
		line.value = "";
		send.disabled = true;
		try {
			// Stored before a model is asked: what was said stays, whatever becomes of the answer.
			const { extractionId } = await user.write("Session/AppendRun", { run: told("USER", text) });
			const request = { query: text, agentId: "page", history: { sessionId, lastRuns: HISTORY_RUNS } };
			const context = await user.call("Context/CompileContext", request, signal);
			await Promise.all([reply(context), extractionId && learned(extractionId)]);
		} catch (error) {
			if (!signal.aborted) add(h("p.field-error", inWords(error)));
		} finally {
			send.disabled = false;
			line.focus();
		}
	}
	async function reply({ text = "", history = [] }) {
		const answered = await answer({ context: text, messages: history }, signal);
		if (answered) await user.write("Session/AppendRun", { run: told("ASSISTANT", answered), learningMode: "LEARNING_MODE_OFF" });
	}
	async function learned(extractionId) {
		const place = h("div.taught");
		add(place);
		await follow(user, place, signal, { extractionId });
		log.scrollTop = log.scrollHeight;
	}
	line.addEventListener("keydown", (event) => {
		if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
		event.preventDefault();
		say();
	});
	modelName().then((name) => put(who, LEARNS, name ? ` ${name} answers.` : [" Nobody answers: start ", h("code", "memsvc ui"), " with a model for that."]));
	return h("section.panel", h("h2", "Try it"), who, log, form("form", say, line, h("div.actions", send)));
}

let model = null;

/**
 * Returns what the model beside the page is called, where `memsvc ui` was started with one: the reader's own, not the
 * server's, which never answers; empty: there is none.
 */
async function modelName() {
	// Asked once for all: so not until somebody leaves, and again where it failed.
	model ??= fetch("model.json", { credentials: "omit" })
		.then((reply) => (reply.ok ? reply.json() : {}))
		.catch(() => ((model = null), {}));
	return (await model).name ?? "";
}

async function answer(conversation, signal) {
	if (!(await modelName())) return "";
	const headers = { "Content-Type": "application/json" };
	const reply = await fetch("answer", { method: "POST", body: JSON.stringify(conversation), signal, credentials: "omit", headers });
	const { text = "", error = "" } = await reply.json();
	if (error) throw new Error(error);
	return text;
}
