/** What changes memories: each says what it did, and how to take it back. */

import { openForm } from "./dialogs.js";
import { h, start } from "./dom.js";
import { countMemories } from "./format.js";
import { notice } from "./notices.js";

const BATCH = 1000;
const IDS = 100;

const quoted = (memory) => `“${start(memory.text || memory.key, 48)}”`;

/** Says what a revision did, with a way back. */
export function done(user, what, revision) {
	notice(`${what} · revision ${revision}`, () => revert(user, revision));
}

export async function addMemory(user, memory) {
	const made = await user.write("Memory/CreateMemory", { memory });
	done(user, `Added ${quoted(made.memory)}`, made.revision);
}

/** Changes the fields of `mask`. Raises ApiError (ETAG_MISMATCH) where the memory is no longer what was read. */
export async function updateMemory(user, memory, mask) {
	const made = await user.write("Memory/UpdateMemory", { memory, updateMask: mask.join(",") });
	done(user, `Changed ${quoted(made.memory)}`, made.revision);
}

export async function deleteMemory(user, memory) {
	const { revision } = await user.write("Memory/DeleteMemory", { memoryId: memory.memoryId, etag: memory.etag });
	done(user, `Deleted ${quoted(memory)}`, revision);
}

export function deleteMemories(user, all) {
	return batches(user, all, ({ memoryId }) => ({ delete: { memoryId, allowMissing: true } }), (some) => `Deleted ${some}`);
}

export function addTopic(user, all, topic) {
	const more = ({ memoryId, etag, topics = [] }) => ({
		update: { memory: { memoryId, etag, topics: [...new Set([...topics, topic])] }, updateMask: "topics" },
	});
	return batches(user, all, more, (some) => `Gave ${some} the topic “${start(topic, 30)}”`);
}

/** Writes an operation for each memory, in one commit for each thousand. */
async function batches(user, all, operationOf, words) {
	for (let at = 0; at < all.length; at += BATCH) {
		const operations = all.slice(at, at + BATCH).map(operationOf);
		const { revision } = await user.write("Memory/BatchWriteMemories", { operations });
		done(user, words(countMemories(operations.length)), revision);
	}
}

export function purged(number) {
	notice(`Purged ${countMemories(number)}, from the history too: that cannot be undone`);
}

/** Deletes for good, once that is confirmed: their words leave the history too. */
export function askToPurge(user, ids, then = () => {}) {
	openForm(
		`Purge ${countMemories(ids.length)}?`,
		h("p", "Their text goes from the history too, so that nothing brings it back: there is no undo."),
		{
			action: "Purge",
			danger: true,
			submit: async () => {
				let cleared = 0;
				for (let at = 0; at < ids.length; at += IDS) {
					const filter = { memoryIds: ids.slice(at, at + IDS) };
					const reply = await user.write("Memory/ClearMemories", { filter, purge: true });
					cleared += reply.clearedCount ?? 0;
				}
				purged(cleared);
				then();
			},
		},
	);
}

/** Takes back what a revision changed; where its memories changed again since, asks whether to do it all the same. */
export async function revert(user, revision) {
	try {
		const made = await user.write("Memory/RestoreMemories", { revertRevision: String(revision) });
		restored(user, `Undid revision ${revision}`, made);
	} catch (error) {
		if (!error.reason?.endsWith("CHANGED_SINCE")) throw error;
		const ids = await changedIn(user, revision);
		openForm(
			"They changed again since",
			h("p", `${countMemories(ids.length)} of revision ${revision} changed later. Bring them back to what they were before it, and lose the later changes?`),
			{ action: "Bring them back", submit: () => restore(user, Number(revision) - 1, ids) },
		);
	}
}

/** Brings memories back to what they were at a revision. */
export async function restore(user, revision, memoryIds) {
	const made = await user.write("Memory/RestoreMemories", { toRevision: String(revision), memoryIds });
	restored(user, `Brought back ${countMemories(memoryIds.length)} as of revision ${revision}`, made);
}

function restored(user, what, { commit, revision }) {
	const changes = commit?.changes?.length ?? 0;
	if (!changes) notice(`${what}: all was so already`);
	else done(user, `${what}: ${countMemories(changes)}`, revision);
}

async function changedIn(user, revision) {
	let pageToken = "";
	do {
		const page = await user.call("Memory/ListMemoryChanges", { pageSize: 200, pageToken });
		const commit = (page.commits ?? []).find((each) => each.revision === String(revision));
		if (commit) return commit.changes.map((change) => (change.after ?? change.before).memoryId);
		pageToken = page.nextPageToken ?? "";
	} while (pageToken);
	return [];
}
