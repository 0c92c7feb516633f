/** The model beside the page, where `memsvc ui` was started with one: the reader's own, not the server's. */

let model = null;

/**
 * Returns what the model says next; null asks which one there is. Empty: there is none. It is asked of whoever served
 * the page, which tells in a header of its own that it has one: a server has none.
 */
export async function answer(conversation, signal) {
	// Asked once for all: so not until somebody leaves, and again where it failed.
	model ??= fetch("model.json", { credentials: "omit" })
		.then((reply) => (reply.ok ? reply.json() : {}))
		.catch(() => ((model = null), {}));
	const { name = "" } = await model;
	if (!conversation || !name) return name;
	const body = JSON.stringify(conversation);
	const reply = await fetch("answer", { method: "POST", body, signal, credentials: "omit", headers: { "Content-Type": "application/json" } });
	const { text = "", error = "" } = await reply.json();
	if (error) throw new Error(error);
	return text;
}
