package dev.memsvc.client;

import java.util.Iterator;
import java.util.List;
import java.util.NoSuchElementException;
import java.util.function.Function;
import java.util.stream.Stream;
import java.util.stream.StreamSupport;

/**
 * A list that comes in pages, each fetched when it is needed. Whoever goes through it again asks
 * anew.
 */
public final class Pages<T> implements Iterable<T> {
  private final Function<String, Page<T>> fetch;

  /** {@code fetch} gets a page by its token; that of the first page is empty. */
  Pages(Function<String, Page<T>> fetch) {
    this.fetch = fetch;
  }

  record Page<T>(List<T> items, String nextToken) {}

  @Override
  public Iterator<T> iterator() {
    return new Items();
  }

  /** All of them; what is not read is not fetched. */
  public Stream<T> stream() {
    return StreamSupport.stream(spliterator(), false);
  }

  /** All of them, fetched now. */
  public List<T> toList() {
    return stream().toList();
  }

  private final class Items implements Iterator<T> {
    private Iterator<T> page = List.<T>of().iterator();
    private String token = "";
    private boolean last;

    @Override
    public boolean hasNext() {
      while (!page.hasNext() && !last) {
        Page<T> fetched = fetch.apply(token);
        page = fetched.items().iterator();
        token = fetched.nextToken();
        last = token.isEmpty();
      }
      return page.hasNext();
    }

    @Override
    public T next() {
      if (!hasNext()) {
        throw new NoSuchElementException();
      }
      return page.next();
    }
  }
}
