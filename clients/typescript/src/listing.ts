/** Lists that come in pages: fetched as they are needed. */

/** Some items, and the token of the next page; empty: there is none. */
export interface Page<T> {
  readonly items: readonly T[];
  readonly next: string;
}

/** A list whose pages are fetched as they are needed: `for await` reads it, `toArray()` gives all of it. */
export class Listing<T> implements AsyncIterable<T> {
  constructor(private readonly fetch: (pageToken: string) => Promise<Page<T>>) {}

  async *[Symbol.asyncIterator](): AsyncGenerator<T, void, undefined> {
    let token = "";
    do {
      const { items, next } = await this.fetch(token);
      yield* items;
      token = next;
    } while (token);
  }

  /** Fetch all of it. */
  async toArray(): Promise<T[]> {
    const all: T[] = [];
    for await (const each of this) all.push(each);
    return all;
  }
}
