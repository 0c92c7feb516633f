package dev.memsvc.client;

import com.google.protobuf.Any;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.rpc.BadRequest;
import com.google.rpc.ErrorInfo;
import com.google.rpc.RetryInfo;
import io.grpc.Metadata;
import io.grpc.Status;
import io.grpc.protobuf.StatusProto;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/** What a status of gRPC is as an exception of this client. */
final class Failures {
  private Failures() {}

  /** The failure of a call that the server, or the transport, ended so. */
  static MemsvcException of(Status status, Metadata trailers) {
    ErrorInfo info = null;
    Duration retryAfter = null;
    List<FieldViolation> fields = new ArrayList<>();
    try {
      for (Any detail : StatusProto.fromStatusAndTrailers(status, trailers).getDetailsList()) {
        if (detail.is(ErrorInfo.class)) {
          info = detail.unpack(ErrorInfo.class);
        } else if (detail.is(BadRequest.class)) {
          for (var each : detail.unpack(BadRequest.class).getFieldViolationsList()) {
            fields.add(new FieldViolation(each.getField(), each.getDescription()));
          }
        } else if (detail.is(RetryInfo.class)) {
          var delay = detail.unpack(RetryInfo.class).getRetryDelay();
          retryAfter = Duration.ofSeconds(delay.getSeconds(), delay.getNanos());
        }
      }
    } catch (InvalidProtocolBufferException unreadable) {
      // Details that cannot be read are left aside: the status says enough.
    }
    return new MemsvcException(
        info == null ? ofTransport(status) : status.getCode(),
        info == null ? "" : info.getReason(),
        status.getDescription() == null ? "" : status.getDescription(),
        fields,
        info == null ? Map.of() : info.getMetadataMap(),
        retryAfter,
        status.asRuntimeException(trailers));
  }

  static MemsvcException of(Throwable error) {
    return error instanceof MemsvcException failure
        ? failure
        : of(Status.fromThrowable(error), Status.trailersFromThrowable(error));
  }

  /** A stream that ended well, but before its last event. */
  static MemsvcException streamCut() {
    return new MemsvcException(
        Status.Code.UNAVAILABLE, "", "the stream ended before its last event");
  }

  static MemsvcException closed() {
    return new MemsvcException(
        Status.Code.FAILED_PRECONDITION, "CLIENT_CLOSED", "the client is closed: make another one");
  }

  static MemsvcException interrupted() {
    Thread.currentThread().interrupt();
    return new MemsvcException(Status.Code.CANCELLED, "", "the thread was interrupted");
  }

  /**
   * The server's errors have an ErrorInfo. One without is of the transport, which has many codes
   * for a connection that broke.
   */
  private static Status.Code ofTransport(Status status) {
    return switch (status.getCode()) {
      case INTERNAL ->
          status.getCause() instanceof InvalidProtocolBufferException
              ? Status.Code.INTERNAL
              : Status.Code.UNAVAILABLE;
      case ABORTED, CANCELLED, UNKNOWN -> Status.Code.UNAVAILABLE;
      default -> status.getCode();
    };
  }
}
