package dev.memsvc.client;

import dev.memsvc.v1.Extraction;
import dev.memsvc.v1.ExtractionEvent;
import dev.memsvc.v1.ExtractionServiceGrpc;
import dev.memsvc.v1.ListExtractionsRequest;
import java.util.Collection;
import java.util.List;
import java.util.function.Consumer;

/** The jobs that learn for one user. */
public final class Extractions {
  private final Subject subject;
  private final AsyncExtractions async;

  Extractions(Subject subject) {
    this.subject = subject;
    this.async = new AsyncExtractions(subject);
  }

  /** One of them. NOT_FOUND where there is none. */
  public Extraction get(String extractionId) {
    return Connection.await(async.get(extractionId));
  }

  /** All of them, newest first. */
  public Pages<Extraction> list() {
    return list(Requests.plain());
  }

  /** Those of a session, or in some states, newest first. */
  public Pages<Extraction> list(Consumer<ListExtractionsRequest.Builder> options) {
    ListExtractionsRequest.Builder chosen =
        ListExtractionsRequest.newBuilder().setScope(subject.scope());
    options.accept(chosen);
    ListExtractionsRequest request = chosen.build();
    return new Pages<>(
        token ->
            subject.page(
                ExtractionServiceGrpc.getListExtractionsMethod(),
                request.toBuilder().setPageToken(token).build(),
                reply -> new Pages.Page<>(reply.getExtractionsList(), reply.getNextPageToken())));
  }

  /** What happens to an extraction, from its start on, until it is completed. */
  public EventStream<ExtractionEvent> watch(String extractionId) {
    return watch(extractionId, "");
  }

  /** What happens to an extraction after an earlier event. */
  public EventStream<ExtractionEvent> watch(String extractionId, String resumeToken) {
    return new EventStream<>(
        subject.connection(),
        new ExtractionEvents(subject.scope(), extractionId, resumeToken, subject.timeout()));
  }

  /** Cancel one; its runs are SKIPPED. FAILED_PRECONDITION where it has ended. */
  public Extraction cancel(String extractionId) {
    return Connection.await(async.cancel(extractionId));
  }

  /**
   * Make those wait again that failed or were cancelled, and return them. Without ids: all that
   * FAILED, at most 100 at a time; repeat until none come back.
   */
  public List<Extraction> retry(Collection<String> extractionIds) {
    return Connection.await(async.retry(extractionIds));
  }
}
