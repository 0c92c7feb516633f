package dev.memsvc.client;

import dev.memsvc.v1.CancelExtractionRequest;
import dev.memsvc.v1.Extraction;
import dev.memsvc.v1.ExtractionServiceGrpc;
import dev.memsvc.v1.GetExtractionRequest;
import dev.memsvc.v1.RetryExtractionsRequest;
import java.util.Collection;
import java.util.List;
import java.util.concurrent.CompletableFuture;

/** The calls of {@link Extractions}, each answered by a future. Cancelling it cancels the call. */
public final class AsyncExtractions {
  private final Subject subject;

  AsyncExtractions(Subject subject) {
    this.subject = subject;
  }

  /** As {@link Extractions#get(String)}. */
  public CompletableFuture<Extraction> get(String extractionId) {
    GetExtractionRequest request =
        GetExtractionRequest.newBuilder()
            .setScope(subject.scope())
            .setExtractionId(extractionId)
            .build();
    return subject.send(
        ExtractionServiceGrpc.getGetExtractionMethod(), request, reply -> reply.getExtraction());
  }

  /** As {@link Extractions#cancel(String)}. */
  public CompletableFuture<Extraction> cancel(String extractionId) {
    CancelExtractionRequest request =
        CancelExtractionRequest.newBuilder()
            .setScope(subject.scope())
            .setExtractionId(extractionId)
            .setRequestId(Requests.newId())
            .build();
    return subject.send(
        ExtractionServiceGrpc.getCancelExtractionMethod(), request, reply -> reply.getExtraction());
  }

  /** As {@link Extractions#retry(Collection)}. */
  public CompletableFuture<List<Extraction>> retry(Collection<String> extractionIds) {
    RetryExtractionsRequest request =
        RetryExtractionsRequest.newBuilder()
            .setScope(subject.scope())
            .addAllExtractionIds(extractionIds)
            .setRequestId(Requests.newId())
            .build();
    return subject.send(
        ExtractionServiceGrpc.getRetryExtractionsMethod(),
        request,
        reply -> reply.getExtractionsList());
  }
}
