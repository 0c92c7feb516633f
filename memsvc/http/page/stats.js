/** What users have, asked for a few at a time. */

import { call } from "./api.js";
import { scopeOf } from "./session.js";

const AT_ONCE = 4;

export class Stats {
	/** `came(userId)` is called with each that is known. */
	constructor(signal, came) {
		this.signal = signal;
		this.came = came;
		this.known = new Map();
		this.asked = new Map();
		this.waiting = [];
		this.busy = 0;
	}

	/** Returns what a user has; null where it cannot be had. */
	get(userId) {
		if (!this.asked.has(userId)) {
			this.asked.set(userId, new Promise((resolve) => {
				// Those asked for last are those looked at now.
				this.waiting.unshift({ userId, resolve });
				this.next();
			}));
		}
		return this.asked.get(userId);
	}

	async next() {
		if (this.busy >= AT_ONCE || !this.waiting.length) return;
		const { userId, resolve } = this.waiting.shift();
		this.busy += 1;
		try {
			const request = { scope: scopeOf(userId), consistency: { maxStaleness: "2s" } };
			const stats = await call("Admin/GetStats", request, this.signal);
			this.known.set(userId, stats);
			resolve(stats);
			if (!this.signal.aborted) this.came(userId);
		} catch {
			this.asked.delete(userId);
			resolve(null);
		} finally {
			this.busy -= 1;
			if (!this.signal.aborted) this.next();
		}
	}
}
