/** What changes memories: each says what it did, and how to take it back. */

import { call, write } from "./api.js";
import { openForm } from "./dialogs.js";
import { h, start } from "./dom.js";
import { count } from "./format.js";
import { notice } from "./notices.js";

const BATCH = 1000;
const IDS = 100;

const quoted = (memory) => `“${start(memory.text || memory.key, 48)}”`;
const some = (number) => count(number, "memory", "memories");

function done(user, what, revision) {
	notice(`${what} · revision ${revision}`, { undo: () => revert(user, revision) });
}

export async function addMemory(user, memory) {
	const made = await write("MemoryService/CreateMemory", { scope: user.scope, memory });
	done(user, `Added ${quoted(made.memory)}`, made.revision);
	return made.memory;
}

/** Changes the fields of `mask`. Raises ApiError (ETAG_MISMATCH) where the memory is no longer what was read. */
export async function updateMemory(user, memory, mask) {
	const request = { scope: user.scope, memory, updateMask: mask.join(",") };
	const made = await write("MemoryService/UpdateMemory", request);
	done(user, `Changed ${quoted(made.memory)}`, made.revision);
	return made.memory;
}

export async function deleteMemory(user, memory) {
	const request = { scope: user.scope, memoryId: memory.memoryId, etag: memory.etag };
	const { revision } = await write("MemoryService/DeleteMemory", request);
	done(user, `Deleted ${quoted(memory)}`, revision);
}

/** Deletes many, in one commit for each thousand. */
export async function deleteMemories(user, ids) {
	for (let at = 0; at < ids.length; at += BATCH) {
		const named = ids.slice(at, at + BATCH);
		const operations = named.map((memoryId) => ({ delete: { memoryId, allowMissing: true } }));
		const { revision } = await write("MemoryService/BatchWriteMemories", { scope: user.scope, operations });
		done(user, `Deleted ${some(named.length)}`, revision);
	}
}

/** Gives many memories one topic more, in one commit for each thousand. */
export async function addTopic(user, memories, topic) {
	for (let at = 0; at < memories.length; at += BATCH) {
		const operations = memories.slice(at, at + BATCH).map(({ memoryId, etag, topics = [] }) => ({
			update: { memory: { memoryId, etag, topics: [...new Set([...topics, topic])] }, updateMask: "topics" },
		}));
		const { revision } = await write("MemoryService/BatchWriteMemories", { scope: user.scope, operations });
		done(user, `Gave ${some(operations.length)} the topic “${start(topic, 30)}”`, revision);
	}
}

/** Deletes for good: their words leave the history too. */
export async function purgeMemories(user, ids) {
	let cleared = 0;
	for (let at = 0; at < ids.length; at += IDS) {
		const filter = { memoryIds: ids.slice(at, at + IDS) };
		const reply = await write("MemoryService/ClearMemories", { scope: user.scope, filter, purge: true });
		cleared += reply.clearedCount ?? 0;
	}
	notice(`Purged ${some(cleared)}, from the history too: that cannot be undone`);
}

export function askToPurge(user, ids, then = () => {}) {
	openForm(
		`Purge ${some(ids.length)}?`,
		h("p", "Their text goes from the history too, so that nothing brings it back: there is no undo."),
		{ action: "Purge", danger: true, submit: async () => (await purgeMemories(user, ids), then()) },
	);
}

/** Takes back what a revision changed; where its memories changed again since, asks whether to do it all the same. */
export async function revert(user, revision) {
	try {
		const made = await write("MemoryService/RestoreMemories", { scope: user.scope, revertRevision: String(revision) });
		restored(user, `Undid revision ${revision}`, made);
	} catch (error) {
		if (error.reason !== "CHANGED_SINCE" && !error.reason.endsWith("CHANGED_SINCE")) throw error;
		const ids = await changedIn(user, revision);
		openForm(
			"They changed again since",
			h("p", `${some(ids.length)} of revision ${revision} changed later. Bring them back to what they were before it, and lose the later changes?`),
			{ action: "Bring them back", submit: () => restore(user, Number(revision) - 1, ids) },
		);
	}
}

/** Brings memories back to what they were at a revision. */
export async function restore(user, revision, memoryIds) {
	const request = { scope: user.scope, toRevision: String(revision), memoryIds };
	restored(user, `Brought back ${some(memoryIds.length)} as of revision ${revision}`, await write("MemoryService/RestoreMemories", request));
}

function restored(user, what, { commit, revision }) {
	const changes = commit?.changes?.length ?? 0;
	if (!changes) notice(`${what}: all was so already`);
	else done(user, `${what}: ${some(changes)}`, revision);
}

async function changedIn(user, revision) {
	let pageToken = "";
	do {
		const page = await call("MemoryService/ListMemoryChanges", { scope: user.scope, pageSize: 200, pageToken });
		const commit = (page.commits ?? []).find((each) => each.revision === String(revision));
		if (commit) return commit.changes.map((change) => (change.after ?? change.before).memoryId);
		pageToken = page.nextPageToken ?? "";
	} while (pageToken);
	return [];
}
