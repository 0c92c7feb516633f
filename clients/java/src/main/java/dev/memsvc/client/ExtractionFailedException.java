package dev.memsvc.client;

import dev.memsvc.v1.ExtractionState;
import io.grpc.Status;

/**
 * Learning ended without effect; {@link #reason} says why: {@code MODEL_REFUSED}, {@code
 * CANCELLED_BY_REQUEST}, …
 */
public final class ExtractionFailedException extends MemsvcException {
  private static final long serialVersionUID = 1L;

  private final String extractionId;
  private final ExtractionState state;

  ExtractionFailedException(
      String extractionId, ExtractionState state, String reason, String description) {
    super(Status.Code.UNKNOWN, reason, description);
    this.extractionId = extractionId;
    this.state = state;
  }

  /** Which extraction it was. */
  public String extractionId() {
    return extractionId;
  }

  /** FAILED or CANCELLED. */
  public ExtractionState state() {
    return state;
  }
}
