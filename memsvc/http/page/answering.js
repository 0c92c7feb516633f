/** The model beside the page, where `memsvc ui` was started with one: the reader's own, not the server's. */

let model = null;

/**
 * Returns what the model says next; null asks which one there is. Empty: there is none. It is asked of whoever served
 * the page, which tells in a header of its own that it has one: a server has none.
 */
export async function answer(conversation, signal) {
	model ??= fetch("model.json", { signal, credentials: "omit" }).then((reply) => (reply.ok ? reply.json() : {}));
	const { name = "" } = await model;
	if (!conversation || !name) return name;
	const body = JSON.stringify(conversation);
	const reply = await fetch("answer", { method: "POST", body, signal, credentials: "omit", headers: { "Content-Type": "application/json" } });
	const { text = "", error = "" } = await reply.json();
	if (error) throw new Error(error);
	return text;
}
