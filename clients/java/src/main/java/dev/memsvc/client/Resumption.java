package dev.memsvc.client;

import io.grpc.MethodDescriptor;
import io.grpc.Status;
import java.time.Duration;
import java.util.Optional;
import java.util.concurrent.ThreadLocalRandom;
import java.util.function.Function;

/**
 * A stream that outlives its connection: what to ask for next, what was seen already, when to give
 * up. Sends nothing itself. Each leg has a deadline longer than the server's heartbeat: a server
 * that hangs is noticed, and a stream that lives goes on in the next leg.
 */
abstract class Resumption<T> {
  /** Eight heartbeats. */
  private static final Duration LEG = Duration.ofSeconds(120);

  /** How long a stream that has begun looks for a server, before it gives up. */
  private static final Duration RECONNECT = Duration.ofSeconds(60);

  private static final double FIRST_DELAY_SECONDS = 0.1;
  private static final double MAX_DELAY_SECONDS = 1.0;

  private final Duration timeout;
  private long begunAt;
  private boolean begun;
  private boolean answered;
  private boolean heard;
  private boolean ended;
  private int failures;
  private long silentSince;
  private Duration patience;

  /** {@code timeout} bounds the whole stream; null: nothing does. */
  Resumption(Duration timeout) {
    this.timeout = timeout;
  }

  /** What to ask for, to get what was not seen yet. */
  abstract Leg.Request<?, ?, T> nextRequest(Duration legTimeout);

  boolean ended() {
    return ended;
  }

  /** The last event was seen. */
  final void end() {
    ended = true;
  }

  /** What to send now. */
  final Leg.Request<?, ?, T> beginLeg() {
    if (!begun) {
      begun = true;
      begunAt = System.nanoTime();
    }
    Duration left = left();
    if (left.isZero() || left.isNegative()) {
      throw new MemsvcException(
          Status.Code.DEADLINE_EXCEEDED,
          "",
          "the stream had not ended after " + timeout + "; its work goes on");
    }
    heard = false;
    return nextRequest(left.compareTo(LEG) < 0 ? left : LEG);
  }

  /** A request whose replies are noted here before they are read. */
  final <Q, R> Leg.Request<Q, R, T> request(
      MethodDescriptor<Q, R> method, Q request, Duration legTimeout, Function<R, T> read) {
    return new Leg.Request<>(
        method,
        request,
        legTimeout,
        reply -> {
          heard = true;
          answered = true;
          failures = 0;
          return read.apply(reply);
        });
  }

  /**
   * After how long the next leg should begin; empty: give up. Until something was heard a server is
   * looked for as long as {@code firstPatience}.
   */
  final Optional<Duration> retryDelay(MemsvcException failure, Duration firstPatience) {
    boolean late = failure.code() == Status.Code.DEADLINE_EXCEEDED;
    if (failure.code() != Status.Code.UNAVAILABLE && !late) {
      return Optional.empty();
    }
    Duration left = left();
    if (left.isZero() || left.isNegative() || (heard && late)) {
      return Optional.of(Duration.ZERO);
    }
    if (failures == 0) {
      silentSince = System.nanoTime();
      patience = answered ? RECONNECT : firstPatience;
    }
    failures++;
    double backoff =
        Math.min(FIRST_DELAY_SECONDS * Math.pow(2, failures - 1), MAX_DELAY_SECONDS)
            * ThreadLocalRandom.current().nextDouble(0.8, 1.2);
    Duration delay = Duration.ofNanos((long) (backoff * 1e9));
    Duration suggested = failure.retryAfter().orElse(Duration.ZERO);
    delay = delay.compareTo(suggested) < 0 ? suggested : delay;
    delay = delay.compareTo(left) < 0 ? delay : left;
    Duration silent = Duration.ofNanos(System.nanoTime() - silentSince);
    return silent.plus(delay).compareTo(patience) <= 0 ? Optional.of(delay) : Optional.empty();
  }

  private Duration left() {
    return timeout == null ? Duration.ofDays(365) : timeout.minusNanos(System.nanoTime() - begunAt);
  }
}
