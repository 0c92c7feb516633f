package dev.memsvc.client;

import io.grpc.CallOptions;
import io.grpc.ClientCall;
import io.grpc.ConnectivityState;
import io.grpc.ManagedChannel;
import io.grpc.MethodDescriptor;
import io.grpc.stub.ClientCalls;
import io.grpc.stub.StreamObserver;
import java.time.Duration;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.function.Function;

/** One channel to a server, shared by all handles of a client and by any number of threads. */
final class Connection implements AutoCloseable {
  private static final long CLOSE_SECONDS = 5;

  private final ManagedChannel channel;
  private final Defaults defaults;
  private volatile boolean closed;

  Connection(ManagedChannel channel, Defaults defaults) {
    this.channel = channel;
    this.defaults = defaults;
    Reconnecting.begin(channel);
  }

  Defaults defaults() {
    return defaults;
  }

  /** Send one call; the future has what {@code read} makes of its reply, or a MemsvcException. */
  <Q, R, T> CompletableFuture<T> send(
      MethodDescriptor<Q, R> method, Q request, Duration timeout, Function<R, T> read) {
    CompletableFuture<T> answer = new CompletableFuture<>();
    if (closed) {
      answer.completeExceptionally(Failures.closed());
      return answer;
    }
    ClientCall<Q, R> call = channel.newCall(method, options(timeout));
    answer.whenComplete(
        (value, failure) -> {
          if (answer.isCancelled()) {
            call.cancel("cancelled by the caller", null);
          }
        });
    ClientCalls.asyncUnaryCall(
        call,
        request,
        new StreamObserver<R>() {
          private T value;

          @Override
          public void onNext(R reply) {
            value = read.apply(reply);
          }

          @Override
          public void onError(Throwable error) {
            answer.completeExceptionally(closed ? Failures.closed() : Failures.of(error));
          }

          @Override
          public void onCompleted() {
            answer.complete(value);
          }
        });
    return answer;
  }

  /** Begin one connection's worth of a stream. */
  <Q, R, T> Leg<R, T> open(Leg.Request<Q, R, T> asked) {
    if (closed) {
      throw Failures.closed();
    }
    CallOptions options =
        CallOptions.DEFAULT.withDeadlineAfter(asked.timeout().toNanos(), TimeUnit.NANOSECONDS);
    lookForServer();
    return Leg.begin(channel.newCall(asked.method(), options), asked);
  }

  boolean isClosed() {
    return closed;
  }

  /** Wait for an answer; the exception's trace is that of the caller. */
  static <T> T await(CompletableFuture<T> answer) {
    try {
      return answer.get();
    } catch (InterruptedException interrupted) {
      answer.cancel(true);
      throw Failures.interrupted();
    } catch (ExecutionException failed) {
      Throwable cause = failed.getCause();
      if (cause instanceof RuntimeException known) {
        known.fillInStackTrace();
        throw known;
      }
      throw new IllegalStateException(cause);
    }
  }

  /** End all that is under way. Safe to repeat. */
  @Override
  public void close() {
    closed = true;
    channel.shutdownNow();
    try {
      channel.awaitTermination(CLOSE_SECONDS, TimeUnit.SECONDS);
    } catch (InterruptedException interrupted) {
      Thread.currentThread().interrupt();
    }
  }

  private CallOptions options(Duration timeout) {
    lookForServer();
    CallOptions options =
        CallOptions.DEFAULT.withDeadlineAfter(timeout.toNanos(), TimeUnit.NANOSECONDS);
    return defaults.waitForReady() ? options.withWaitForReady() : options;
  }

  /** Who calls wants the server now, not when the channel would look for it next. */
  private void lookForServer() {
    if (channel.getState(false) == ConnectivityState.TRANSIENT_FAILURE) {
      channel.resetConnectBackoff();
    }
  }
}
