package dev.memsvc.client;

import dev.memsvc.v1.AdminServiceGrpc;
import dev.memsvc.v1.ConfigServiceGrpc;
import dev.memsvc.v1.ContextServiceGrpc;
import dev.memsvc.v1.ExtractionServiceGrpc;
import dev.memsvc.v1.MemoryServiceGrpc;
import dev.memsvc.v1.SessionServiceGrpc;
import dev.memsvc.v1.ToolServiceGrpc;
import io.grpc.ChannelCredentials;
import io.grpc.Grpc;
import io.grpc.ManagedChannel;
import io.grpc.ManagedChannelBuilder;
import io.grpc.MethodDescriptor;
import io.grpc.ServiceDescriptor;
import io.grpc.netty.shaded.io.grpc.netty.NettyChannelBuilder;
import io.grpc.netty.shaded.io.netty.channel.ChannelOption;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;

/** How a channel to memsvc is made: its limits, its retries, and what it says of itself. */
final class Channels {
  /** Replies end before 3 MiB and requests before 4; larger ones are for the server to refuse. */
  private static final int MAX_MESSAGE_BYTES = 16 * 1024 * 1024;

  /** A request that may be sent again is kept; a run may have more than the channel's 1 MiB. */
  private static final long RETRY_BUFFER_BYTES = 8L * 1024 * 1024;

  private static final long ALL_RETRY_BUFFERS_BYTES = 64L * 1024 * 1024;
  private static final long KEEP_ALIVE_SECONDS = 60;

  private Channels() {}

  static ManagedChannel open(
      Target target, ChannelCredentials credentials, List<io.grpc.ClientInterceptor> interceptors) {
    ManagedChannelBuilder<?> builder =
        Grpc.newChannelBuilder(target.address(), credentials)
            .maxInboundMessageSize(MAX_MESSAGE_BYTES)
            .enableRetry()
            .perRpcBufferLimit(RETRY_BUFFER_BYTES)
            .retryBufferSize(ALL_RETRY_BUFFERS_BYTES)
            .defaultServiceConfig(SERVICE_CONFIG)
            .disableServiceConfigLookUp()
            .userAgent("memsvc-java")
            .intercept(interceptors);
    if (target.local()) {
      // A proxy cannot reach what is local to this machine, whatever the settings say.
      builder.proxyDetector(address -> null);
    }
    if (target.socket()) {
      // The default is the escaped path, which some servers reject.
      builder.overrideAuthority("localhost");
      if (builder instanceof NettyChannelBuilder netty) {
        // Sockets have no such option, and netty would warn of it at every connection.
        netty.withOption(ChannelOption.SO_KEEPALIVE, null);
      }
    } else {
      builder.keepAliveTime(KEEP_ALIVE_SECONDS, TimeUnit.SECONDS);
    }
    return builder.build();
  }

  /**
   * Unary calls that nobody answered are retried: a write carries a request id, and happens once. A
   * server of memsvc never answers CANCELLED or UNKNOWN: the one is how gRPC ends calls that a
   * server had not taken yet as it stopped, the other how Netty says that a connection closed as a
   * call was written to it.
   */
  private static final Map<String, ?> SERVICE_CONFIG =
      Map.of(
          "methodConfig",
          List.of(
              Map.of(
                  "name",
                  unaryMethods(),
                  "retryPolicy",
                  Map.of(
                      "maxAttempts",
                      5.0,
                      "initialBackoff",
                      "0.1s",
                      "maxBackoff",
                      "1s",
                      "backoffMultiplier",
                      2.0,
                      "retryableStatusCodes",
                      List.of("UNAVAILABLE", "CANCELLED", "UNKNOWN")))));

  private static List<Map<String, String>> unaryMethods() {
    return Stream.of(
            AdminServiceGrpc.getServiceDescriptor(),
            ConfigServiceGrpc.getServiceDescriptor(),
            ContextServiceGrpc.getServiceDescriptor(),
            ExtractionServiceGrpc.getServiceDescriptor(),
            MemoryServiceGrpc.getServiceDescriptor(),
            SessionServiceGrpc.getServiceDescriptor(),
            ToolServiceGrpc.getServiceDescriptor())
        .map(ServiceDescriptor::getMethods)
        .flatMap(methods -> methods.stream())
        .filter(method -> method.getType() == MethodDescriptor.MethodType.UNARY)
        .map(
            method ->
                Map.of("service", method.getServiceName(), "method", method.getBareMethodName()))
        .toList();
  }
}
