package dev.memsvc.client;

import io.grpc.ClientCall;
import io.grpc.Metadata;
import io.grpc.MethodDescriptor;
import io.grpc.Status;
import java.time.Duration;
import java.util.Optional;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.function.Function;

/**
 * One connection's worth of a stream: its replies wait here, a few at a time, until they are read.
 */
final class Leg<R, T> {
  private static final int AHEAD = 16;

  private final ClientCall<?, R> call;
  private final Function<R, T> read;
  private final BlockingQueue<Arrival<R>> arrivals = new LinkedBlockingQueue<>();

  private Leg(ClientCall<?, R> call, Function<R, T> read) {
    this.call = call;
    this.read = read;
  }

  /**
   * What to ask for.
   *
   * @param read what is new in a reply; null: nothing
   */
  record Request<Q, R, T>(
      MethodDescriptor<Q, R> method, Q request, Duration timeout, Function<R, T> read) {}

  /** A reply, or how the leg ended. */
  private record Arrival<R>(R reply, Status status, Metadata trailers) {}

  static <Q, R, T> Leg<R, T> begin(ClientCall<Q, R> call, Request<Q, R, T> asked) {
    Leg<R, T> leg = new Leg<>(call, asked.read());
    call.start(leg.new Listener(), new Metadata());
    call.request(AHEAD);
    call.sendMessage(asked.request());
    call.halfClose();
    return leg;
  }

  /** Wait for a reply; empty: there is nothing new in it. Throws once the leg is over. */
  Optional<T> next() throws InterruptedException {
    Arrival<R> arrival = arrivals.take();
    if (arrival.status() == null) {
      call.request(1);
      return Optional.ofNullable(read.apply(arrival.reply()));
    }
    // Whoever asks again is told again.
    arrivals.add(arrival);
    throw arrival.status().isOk()
        ? Failures.streamCut()
        : Failures.of(arrival.status(), arrival.trailers());
  }

  void cancel() {
    call.cancel("the stream was left", null);
  }

  private final class Listener extends ClientCall.Listener<R> {
    @Override
    public void onMessage(R reply) {
      arrivals.add(new Arrival<>(reply, null, null));
    }

    @Override
    public void onClose(Status status, Metadata trailers) {
      arrivals.add(new Arrival<>(null, status, trailers));
    }
  }
}
