package dev.memsvc.client;

import io.grpc.Status;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * A call did not succeed: why, in the server's words, and which fields of the request it is about.
 *
 * <p>What the client can tell is wrong before anything is sent is an {@link
 * IllegalArgumentException}.
 */
public class MemsvcException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  private final Status.Code code;
  private final String reason;
  private final String description;
  private final transient List<FieldViolation> fields;
  private final transient Map<String, String> metadata;
  private final transient Duration retryAfter;

  MemsvcException(
      Status.Code code,
      String reason,
      String description,
      List<FieldViolation> fields,
      Map<String, String> metadata,
      Duration retryAfter,
      Throwable cause) {
    super(sentence(code, reason, description), cause);
    this.code = code;
    this.reason = reason;
    this.description = description;
    this.fields = List.copyOf(fields);
    this.metadata = Map.copyOf(metadata);
    this.retryAfter = retryAfter;
  }

  MemsvcException(Status.Code code, String reason, String description) {
    this(code, reason, description, List.of(), Map.of(), null, null);
  }

  /** What kind of failure it is. */
  public Status.Code code() {
    return code;
  }

  /**
   * Why, in one word that programs can switch on: {@code KEY_TAKEN}, the names of {@link
   * dev.memsvc.v1.Reason} without {@code REASON_}. Empty where the transport failed, not the
   * server; a newer server may send one that {@code Reason} does not have yet.
   */
  public String reason() {
    return reason;
  }

  /** The server's sentence; {@link #getMessage} has the reason before it. */
  public String description() {
    return description;
  }

  /** The wrong fields of the request. */
  public List<FieldViolation> fields() {
    return fields == null ? List.of() : fields;
  }

  /** More about the reason, for example the id of the memory that holds a key. */
  public Map<String, String> metadata() {
    return metadata == null ? Map.of() : metadata;
  }

  /** After how long the server suggests to try again. */
  public Optional<Duration> retryAfter() {
    return Optional.ofNullable(retryAfter);
  }

  /**
   * Whether it is the service's failure or the network's, and not the caller's. So is a limit that
   * is over by itself.
   */
  public boolean isServiceDown() {
    return switch (code) {
      case UNAVAILABLE, DEADLINE_EXCEEDED, INTERNAL, DATA_LOSS, UNKNOWN -> true;
      default -> reason.equals("LIMIT_REACHED") || reason.equals("BUDGET_EXHAUSTED");
    };
  }

  private static String sentence(Status.Code code, String reason, String description) {
    String name = reason.isEmpty() ? code.name() : reason;
    return description.isEmpty() ? name : name + ": " + description;
  }
}
