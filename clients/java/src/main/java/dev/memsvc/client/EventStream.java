package dev.memsvc.client;

import java.time.Duration;
import java.util.Iterator;
import java.util.NoSuchElementException;
import java.util.Optional;
import java.util.Spliterator;
import java.util.Spliterators;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import java.util.stream.StreamSupport;

/**
 * Events as they happen, over as many connections as it takes: each stored event comes once. It
 * begins with the first one that is asked for, is read by one thread, and ends with its last event
 * or when it is closed: close it, by {@code try (…)}, where it is left before. Any thread may close
 * it; {@link #hasNext} is false then.
 */
public final class EventStream<T> implements Iterable<T>, Iterator<T>, AutoCloseable {
  private final Connection connection;
  private final Resumption<T> resumption;
  private final CountDownLatch closed = new CountDownLatch(1);
  private volatile Leg<?, T> leg;
  private T ahead;

  EventStream(Connection connection, Resumption<T> resumption) {
    this.connection = connection;
    this.resumption = resumption;
  }

  /** Wait for the next event; false: the last one was read. */
  @Override
  public boolean hasNext() {
    while (ahead == null && !isClosed() && !resumption.ended()) {
      try {
        ahead = step();
      } catch (InterruptedException interrupted) {
        close();
        throw Failures.interrupted();
      } catch (RuntimeException failure) {
        close();
        throw failure;
      }
    }
    if (ahead == null) {
      close();
    }
    return ahead != null;
  }

  @Override
  public T next() {
    if (!hasNext()) {
      throw new NoSuchElementException("the stream has ended");
    }
    T event = ahead;
    ahead = null;
    return event;
  }

  /** This stream itself: it can be read once. */
  @Override
  public Iterator<T> iterator() {
    return this;
  }

  /** The events as a stream of Java's, which closes this one when it is closed. */
  public Stream<T> stream() {
    int kind = Spliterator.ORDERED | Spliterator.NONNULL;
    return StreamSupport.stream(Spliterators.spliteratorUnknownSize(this, kind), false)
        .onClose(this::close);
  }

  /** Leave it: the server hears of it. What an extraction has begun goes on. Safe to repeat. */
  @Override
  public void close() {
    closed.countDown();
    Leg<?, T> open = leg;
    if (open != null) {
      open.cancel();
    }
  }

  private boolean isClosed() {
    return closed.getCount() == 0;
  }

  private T step() throws InterruptedException {
    if (leg == null) {
      leg = connection.open(resumption.beginLeg());
      if (isClosed()) {
        close();
      }
    }
    try {
      return leg.next().orElse(null);
    } catch (MemsvcException failure) {
      leg = null;
      if (isClosed()) {
        return null;
      }
      if (connection.isClosed()) {
        throw Failures.closed();
      }
      takeUp(failure);
      return null;
    }
  }

  private void takeUp(MemsvcException failure) throws InterruptedException {
    Optional<Duration> delay = resumption.retryDelay(failure, connection.defaults().timeout());
    if (delay.isEmpty()) {
      throw failure;
    }
    closed.await(delay.get().toNanos(), TimeUnit.NANOSECONDS);
  }
}
