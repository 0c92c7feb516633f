/** What happens to a user's memories, as it is committed: watched for as long as somebody looks. */

import { pause, soon } from "./timing.js";

const FIRST_WAIT = 400;
const LONGEST_WAIT = 5000;
const AFTER = 300;

export class Live {
	constructor(user, signal) {
		this.user = user;
		this.signal = signal;
		this.listeners = new Set();
		this.state = "connecting";
		this.resumeToken = "";
		this.watch();
	}

	/** Has `listener({commit | erased | missed | state})` called, until `signal` says that it is enough. */
	on(listener, signal) {
		this.listeners.add(listener);
		signal.addEventListener("abort", () => this.listeners.delete(listener));
	}

	/** Has `action()` called soon after memories changed; returns a function that asks for it besides. */
	afterChanges(action, signal) {
		const again = soon(action, AFTER, signal);
		this.on(({ commit, missed, erased }) => (commit || missed || erased) && again(), signal);
		return again;
	}

	tell(event) {
		for (const listener of this.listeners) listener(event);
	}

	become(state) {
		if (this.state === state || this.signal.aborted) return;
		this.state = state;
		this.tell({ state });
	}

	async watch() {
		let wait = FIRST_WAIT;
		while (!this.signal.aborted) {
			await visible(this.signal);
			try {
				const request = this.resumeToken ? { resumeToken: this.resumeToken } : {};
				for await (const event of this.user.stream("Memory/WatchMemories", request, untilHidden(this.signal))) {
					wait = FIRST_WAIT;
					this.become("live");
					this.resumeToken = event.resumeToken || this.resumeToken;
					if (event.commit) this.tell({ commit: event.commit });
					if (event.erased) this.tell({ erased: true });
				}
				this.resumeToken = "";
			} catch (error) {
				if (this.signal.aborted) return;
				if (error.code === "canceled") continue;
				if (error.code === "permission_denied" || error.code === "unauthenticated") return this.become("off");
				if (error.code === "out_of_range" || error.code === "invalid_argument") {
					// The log no longer reaches back: what was missed has to be read anew.
					this.resumeToken = "";
					this.tell({ missed: true });
				} else {
					this.become("broken");
				}
				await pause(wait, this.signal);
				wait = Math.min(wait * 2, LONGEST_WAIT);
			}
		}
		return undefined;
	}
}

/** A page that nobody sees holds no connection: browsers have few for each server. */
function visible(signal) {
	if (!document.hidden) return undefined;
	return new Promise((resolve) => {
		document.addEventListener("visibilitychange", resolve, { once: true, signal });
		signal.addEventListener("abort", resolve);
	});
}

function untilHidden(signal) {
	const hidden = new AbortController();
	document.addEventListener("visibilitychange", () => document.hidden && hidden.abort(), { signal: hidden.signal });
	return AbortSignal.any([signal, hidden.signal]);
}
