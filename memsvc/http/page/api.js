/** The API, as Connect's protocol has it: one JSON answer, or a stream of enveloped ones. */

import { credentials, signOut } from "./session.js";
import { pause } from "./timing.js";

const END = 2;

export class ApiError extends Error {
	/** `code` as Connect writes it; `reason` to program against; `fields`: what is wrong in which field. */
	constructor({ code = "unknown", message = "", details = [] } = {}) {
		const named = (type) => details.find((each) => each.type === type)?.debug ?? {};
		super(message || code);
		this.code = code;
		this.reason = named("google.rpc.ErrorInfo").reason ?? "";
		this.fields = named("google.rpc.BadRequest").fieldViolations ?? [];
	}

	get isTransient() {
		return this.code === "unavailable" || this.code === "deadline_exceeded";
	}
}

/** Calls a method, `Memory/GetMemory` say, and returns its answer. Raises ApiError. */
export async function call(method, request, signal) {
	const response = await sent(method, JSON.stringify(request), "application/json", signal);
	if (!response.ok) throw await failureOf(response);
	return read(() => response.json(), signal);
}

/** Calls a method that streams, and yields its answers. Raises ApiError where it ends with one. */
export async function* stream(method, request, signal) {
	const response = await sent(method, enveloped(request), "application/connect+json", signal);
	if (!response.ok) throw await failureOf(response);
	const reader = response.body.getReader();
	let held = new Uint8Array(0);
	for (;;) {
		const { done, value } = await read(() => reader.read(), signal);
		if (done) throw new ApiError({ code: "unavailable", message: "The connection broke." });
		held = joined(held, value);
		for (let message; (message = first(held)); held = held.subarray(message.size)) {
			if (message.flags & END) {
				if (message.json.error) throw refusedOr(new ApiError(message.json.error));
				return;
			}
			yield message.json;
		}
	}
}

/** Returns a new id that makes a write safe to repeat. */
export function requestId() {
	const bytes = crypto.getRandomValues(new Uint8Array(16));
	bytes[6] = (bytes[6] & 0x0f) | 0x40;
	bytes[8] = (bytes[8] & 0x3f) | 0x80;
	const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
	return [8, 12, 16, 20, 32].map((end, at, ends) => hex.slice(ends[at - 1] ?? 0, end)).join("-");
}

/** Writes; where the answer is lost, asks once more under the same id, which changes nothing twice. */
export async function write(method, request) {
	const repeatable = { ...request, requestId: requestId() };
	try {
		return await call(method, repeatable);
	} catch (error) {
		if (!(error instanceof ApiError) || error.code !== "unavailable") throw error;
		await pause(400);
		return call(method, repeatable);
	}
}

async function sent(method, body, type, signal) {
	const headers = { "Content-Type": type, "Connect-Protocol-Version": "1", ...credentials() };
	const options = { method: "POST", headers, body, signal, cache: "no-store", credentials: "omit" };
	return read(() => fetch(`../memsvc.v1.${method.replace("/", "Service/")}`, options), signal);
}

/** Does what may break with the connection. */
async function read(action, signal) {
	try {
		return await action();
	} catch (error) {
		if (signal?.aborted) throw new ApiError({ code: "canceled", message: "No longer wanted." });
		throw new ApiError({ code: "unavailable", message: "The server cannot be reached." });
	}
}

async function failureOf(response) {
	let body;
	try {
		body = await response.json();
	} catch {
		body = { code: "unknown", message: `The server answered ${response.status}.` };
	}
	return refusedOr(new ApiError(body));
}

function refusedOr(error) {
	if (error.code === "unauthenticated") signOut(error.message);
	return error;
}

function enveloped(request) {
	const message = new TextEncoder().encode(JSON.stringify(request));
	const body = new Uint8Array(5 + message.length);
	new DataView(body.buffer).setUint32(1, message.length);
	body.set(message, 5);
	return body;
}

function first(held) {
	if (held.length < 5) return null;
	const size = 5 + new DataView(held.buffer, held.byteOffset).getUint32(1);
	if (held.length < size) return null;
	return { flags: held[0], size, json: JSON.parse(new TextDecoder().decode(held.subarray(5, size))) };
}

function joined(one, other) {
	const whole = new Uint8Array(one.length + other.length);
	whole.set(one);
	whole.set(other, one.length);
	return whole;
}
