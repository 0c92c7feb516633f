/** All that a list of the API has, fetched page by page as far as somebody looks. */

export class Paged {
	/** `page(token, size, signal)` returns `{items, token, total}`; `changed()` is called when more has come. */
	constructor({ page, changed, failed, signal, firstSize = 100, size = 500 }) {
		Object.assign(this, { page, changed, failed, signal, firstSize, size });
		this.items = [];
		this.total = null;
		this.token = "";
		this.isWhole = false;
		this.wanted = 0;
		this.fetching = null;
	}

	/** Sees to it that the item at `index` is there, if there is one; those before it come first. */
	ensure(index) {
		this.wanted = Math.max(this.wanted, index + 1);
		this.fetching ??= this.fetch().finally(() => (this.fetching = null));
		return this.fetching;
	}

	async fetch() {
		try {
			while (!this.isWhole && this.items.length < this.wanted) {
				const size = this.items.length ? this.size : this.firstSize;
				const { items, token, total } = await this.page(this.token, size, this.signal);
				if (this.signal.aborted) return;
				// What changed while paging may come twice.
				const known = new Set(this.items.map((item) => item.memoryId ?? item));
				this.items.push(...items.filter((item) => !known.has(item.memoryId ?? item)));
				this.token = token;
				this.isWhole = !token;
				this.total = this.isWhole ? this.items.length : Math.max(total ?? 0, this.items.length);
				this.changed();
			}
		} catch (error) {
			if (!this.signal.aborted) this.failed(error);
		}
	}
}
