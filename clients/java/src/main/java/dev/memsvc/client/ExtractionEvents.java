package dev.memsvc.client;

import dev.memsvc.v1.ExtractMemoriesRequest;
import dev.memsvc.v1.ExtractMemoriesResponse;
import dev.memsvc.v1.ExtractionEvent;
import dev.memsvc.v1.ExtractionServiceGrpc;
import dev.memsvc.v1.Scope;
import dev.memsvc.v1.WatchExtractionRequest;
import dev.memsvc.v1.WatchExtractionResponse;
import java.time.Duration;

/**
 * The events of one extraction. Stored ones come once each; hints of an attempt that is over are
 * left out.
 */
final class ExtractionEvents extends Resumption<ExtractionEvent> {
  private final Scope scope;
  private final ExtractMemoriesRequest extract;
  private String extractionId;
  private String resumeToken;
  private long number;
  private int attempt;

  /** Of an extraction that is to begin. */
  ExtractionEvents(ExtractMemoriesRequest extract, Duration timeout) {
    super(timeout);
    this.scope = extract.getScope();
    this.extract = extract;
    this.extractionId = "";
    this.resumeToken = "";
  }

  /** Of one that there is, after an earlier event or from its start. */
  ExtractionEvents(Scope scope, String extractionId, String resumeToken, Duration timeout) {
    super(timeout);
    this.scope = scope;
    this.extract = null;
    this.extractionId = extractionId;
    this.resumeToken = resumeToken;
  }

  @Override
  Leg.Request<?, ?, ExtractionEvent> nextRequest(Duration legTimeout) {
    if (extract != null && resumeToken.isEmpty()) {
      return request(
          ExtractionServiceGrpc.getExtractMemoriesMethod(),
          extract,
          legTimeout,
          (ExtractMemoriesResponse reply) -> read(reply.getEvent()));
    }
    WatchExtractionRequest watch =
        WatchExtractionRequest.newBuilder()
            .setScope(scope)
            .setExtractionId(extractionId)
            .setResumeToken(resumeToken)
            .build();
    return request(
        ExtractionServiceGrpc.getWatchExtractionMethod(),
        watch,
        legTimeout,
        (WatchExtractionResponse reply) -> read(reply.getEvent()));
  }

  private ExtractionEvent read(ExtractionEvent event) {
    if (event.getNumber() != 0) {
      if (event.getNumber() <= number) {
        return null;
      }
      number = event.getNumber();
      resumeToken = event.getResumeToken();
    }
    switch (event.getEventCase()) {
      case ACCEPTED -> extractionId = event.getAccepted().getExtraction().getExtractionId();
      case PROGRESS -> {
        return ofAttempt(event.getProgress().getAttempt(), event);
      }
      case PROPOSED -> {
        return ofAttempt(event.getProposed().getAttempt(), event);
      }
      case RETRIED -> attempt = 0;
      case COMPLETED -> end();
      case HEARTBEAT, EVENT_NOT_SET -> {
        // A sign of life, or what a newer server has.
        return null;
      }
      default -> {}
    }
    return event;
  }

  private ExtractionEvent ofAttempt(int of, ExtractionEvent hint) {
    if (of < attempt) {
      return null;
    }
    attempt = of;
    return hint;
  }
}
