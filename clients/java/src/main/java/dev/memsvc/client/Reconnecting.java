package dev.memsvc.client;

import io.grpc.ConnectivityState;
import io.grpc.ManagedChannel;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Executor;
import java.util.concurrent.TimeUnit;

/**
 * Lets a channel look for its server every second. By itself it waits longer after each try, up to
 * two minutes: a server that is back would be found that much later.
 */
final class Reconnecting {
  private static final Executor IN_A_SECOND =
      CompletableFuture.delayedExecutor(1, TimeUnit.SECONDS);

  private final ManagedChannel channel;

  private Reconnecting(ManagedChannel channel) {
    this.channel = channel;
  }

  static void begin(ManagedChannel channel) {
    new Reconnecting(channel).look();
  }

  private void look() {
    ConnectivityState state = channel.getState(false);
    switch (state) {
      case SHUTDOWN -> {}
      case TRANSIENT_FAILURE -> IN_A_SECOND.execute(this::tryAgain);
      default -> channel.notifyWhenStateChanged(state, this::look);
    }
  }

  private void tryAgain() {
    channel.resetConnectBackoff();
    look();
  }
}
